"""The default model: glm_moe_dsa without experts, over flat token batches, with dense or selected attention.

All layers' weights of a kind are one stacked parameter [layers, out, in], so that Muon works on few tensors and conversion is
a loop. Names and arithmetic follow transformers' GlmMoeDsaForCausalLM: MLA heads are [nope | rope] with rope last, indexer
heads [rope | nope] with rope first, both interleaved; the indexer's query comes from the normed q latent.
"""

import dataclasses
import json
import math

import torch
import torch.nn.functional as F

import distill
import sparse_attention


@dataclasses.dataclass
class Config:
    """Field names as in config.json where they exist there."""
    vocab_size: int = 6144
    hidden_size: int = 320
    num_hidden_layers: int = 12
    num_attention_heads: int = 6
    qk_nope_head_dim: int = 48
    qk_rope_head_dim: int = 16
    v_head_dim: int = 64
    q_lora_rank: int = 192
    kv_lora_rank: int = 128
    intermediate_size: int = 768
    index_n_heads: int = 4
    index_head_dim: int = 64
    index_topk: int = 512
    indexer_types: tuple = ("full", "shared", "shared", "shared") * 3
    rope_theta: float = 10000.0
    rms_norm_eps: float = 1e-6
    max_position_embeddings: int = 131072

    @property
    def qk_head_dim(self):
        return self.qk_nope_head_dim + self.qk_rope_head_dim

    @classmethod
    def tiny(cls, vocab_size):
        """For the smoke run on CPU."""
        return cls(vocab_size=vocab_size, hidden_size=64, num_hidden_layers=4, num_attention_heads=2, qk_nope_head_dim=16,
                   qk_rope_head_dim=16, v_head_dim=32, q_lora_rank=32, kv_lora_rank=32, intermediate_size=128, index_n_heads=2,
                   index_head_dim=32, index_topk=32, indexer_types=("full", "shared") * 2)


def rms_norm(x, weight, eps):
    xf = x.float()
    return (xf * torch.rsqrt(xf.square().mean(-1, keepdim=True) + eps)).to(x.dtype) * weight


def rotate(x, cos, sin):
    """Interleaved RoPE. x [N, heads, d], cos, sin [N, d/2]. Leaves the pairs de-interleaved, as transformers does."""
    a, b = x[..., 0::2].float(), x[..., 1::2].float()
    cos, sin = cos[:, None], sin[:, None]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1).to(x.dtype)


def dense_attention(q, k, v, scale):
    """Causal attention, [B, T, H, D]."""
    if not q.is_cuda:
        causal = torch.ones(1, q.shape[1], q.shape[1], device=q.device).tril()
        return sparse_attention.attention_reference(q, k, v, causal, scale)
    q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale).transpose(1, 2)


class Model(torch.nn.Module):
    """Parameters, and the forward pass in parts that compile once for all sequence lengths."""

    def __init__(self, config, compiled=False, dtype=torch.bfloat16):
        super().__init__()
        self.config, self.dtype = config, dtype
        if compiled:  # cuDNN's attention is up to three times faster than the default choice at these sizes
            torch.backends.cuda.enable_flash_sdp(False)
            torch.backends.cuda.enable_mem_efficient_sdp(False)
            torch.backends.cuda.enable_math_sdp(False)
            torch.backends.cuda.enable_cudnn_sdp(True)
        c, n = config, config.num_hidden_layers
        full = sum(t == "full" for t in c.indexer_types)
        heads, qk, v = c.num_attention_heads, c.qk_head_dim, c.v_head_dim

        def matrix(count, rows, cols, zero=False):
            return torch.nn.Parameter(torch.zeros(count, rows, cols) if zero else torch.randn(count, rows, cols) * 0.7 / math.sqrt(cols))

        def ones(*shape):
            return torch.nn.Parameter(torch.ones(*shape))

        self.embed = torch.nn.Parameter(torch.randn(c.vocab_size, c.hidden_size) * 0.3)
        self.head = torch.nn.Parameter(torch.zeros(c.vocab_size, c.hidden_size))
        self.norm = ones(c.hidden_size)
        self.input_norm, self.post_norm = ones(n, c.hidden_size), ones(n, c.hidden_size)
        self.q_a, self.q_a_norm = matrix(n, c.q_lora_rank, c.hidden_size), ones(n, c.q_lora_rank)
        self.q_b = matrix(n, heads * qk, c.q_lora_rank)
        self.kv_a = matrix(n, c.kv_lora_rank + c.qk_rope_head_dim, c.hidden_size)
        self.kv_a_norm = ones(n, c.kv_lora_rank)
        self.kv_b = matrix(n, heads * (c.qk_nope_head_dim + v), c.kv_lora_rank)
        self.o = matrix(n, c.hidden_size, heads * v, zero=True)
        self.gate, self.up = matrix(n, c.intermediate_size, c.hidden_size), matrix(n, c.intermediate_size, c.hidden_size)
        self.down = matrix(n, c.hidden_size, c.intermediate_size, zero=True)
        self.index_wq = matrix(full, c.index_n_heads * c.index_head_dim, c.q_lora_rank)
        self.index_wk = matrix(full, c.index_head_dim, c.hidden_size)
        self.index_norm, self.index_norm_bias = ones(full, c.index_head_dim), torch.nn.Parameter(torch.zeros(full, c.index_head_dim))
        self.index_w = matrix(full, c.index_n_heads, c.hidden_size)
        half = c.qk_rope_head_dim // 2
        frequencies = c.rope_theta ** (-torch.arange(half, dtype=torch.float64) / half)
        angles = torch.arange(c.max_position_embeddings, dtype=torch.float64)[:, None] * frequencies
        self.register_buffer("cos", angles.cos().float(), persistent=False)
        self.register_buffer("sin", angles.sin().float(), persistent=False)
        wrap = (lambda f: torch.compile(f, dynamic=False)) if compiled else (lambda f: f)
        self._attention_input, self._layer_output = wrap(self.attention_input), wrap(self.layer_output)
        self._index_input, self._loss = wrap(self.index_input), wrap(self.loss)

    INDEXER = ("index_wq", "index_wk", "index_norm", "index_norm_bias", "index_w")

    def attention_input(self, x, norm, a, q_a_norm, q_b, kv_a_norm, kv_b, cos, sin):
        """x [N, D] -> q, k [N, H, qk], v [N, H, v], h [N, D], q latent [N, q_lora]."""
        c = self.config
        h = rms_norm(x, norm, c.rms_norm_eps)
        u = h @ a.T
        r = rms_norm(u[:, :c.q_lora_rank], q_a_norm, c.rms_norm_eps)
        z = rms_norm(u[:, c.q_lora_rank:c.q_lora_rank + c.kv_lora_rank], kv_a_norm, c.rms_norm_eps)
        k_rope = rotate(u[:, None, c.q_lora_rank + c.kv_lora_rank:], cos, sin)
        q = (r @ q_b.T).view(-1, c.num_attention_heads, c.qk_head_dim)
        kv = (z @ kv_b.T).view(-1, c.num_attention_heads, c.qk_nope_head_dim + c.v_head_dim)
        q = torch.cat([q[..., :c.qk_nope_head_dim], rotate(q[..., c.qk_nope_head_dim:], cos, sin)], -1)
        k = torch.cat([kv[..., :c.qk_nope_head_dim], k_rope.expand(-1, c.num_attention_heads, -1)], -1)
        return q, k, kv[..., c.qk_nope_head_dim:].contiguous(), h, r

    def layer_output(self, x, attention, o, norm, gate_up, down):
        """Attention output projection, then the SwiGLU block; x [N, D], attention [N, H * v]."""
        x = x + attention @ o.T
        gate, up = (rms_norm(x, norm, self.config.rms_norm_eps) @ gate_up.T).chunk(2, -1)
        return x + (F.silu(gate) * up) @ down.T

    def index_input(self, h, r, wq, wk, norm, bias, w, cos, sin):
        """-> index_q [N, Hi, Di], index_k [N, Di] in the model's dtype, index_w [N, Hi] fp32, scaled."""
        c = self.config
        rope = c.qk_rope_head_dim
        q = (r @ wq.T).view(-1, c.index_n_heads, c.index_head_dim)
        q = torch.cat([rotate(q[..., :rope], cos, sin), q[..., rope:]], -1)
        k = F.layer_norm((h @ wk.T).float(), (c.index_head_dim,), norm.float(), bias.float(), 1e-6).to(h.dtype)
        k = torch.cat([rotate(k[:, None, :rope], cos, sin)[:, 0], k[:, rope:]], -1)
        return q, k, (h @ w.T).float() * (c.index_n_heads * c.index_head_dim) ** -0.5

    def loss(self, x, norm, head, targets, weights):
        """x [K, D] -> (weighted mean cross-entropy, arg-max tokens [K])."""
        logits = (rms_norm(x, norm, self.config.rms_norm_eps) @ head.T).float()
        losses = F.cross_entropy(logits, targets, reduction="none")
        return (losses * weights).sum() / weights.sum().clamp_min(1e-6), logits.argmax(-1)

    def _cast(self):
        """Weights in compute dtype, unbound by layer: their gradients come back as one stack each."""
        w = {name: p.to(self.dtype).unbind(0) for name, p in self.named_parameters() if name not in ("embed", "head", "norm", *self.INDEXER)}
        with torch.enable_grad():  # the indexers learn while the rest runs without gradients (warm-up)
            w.update((name, getattr(self, name).to(self.dtype).unbind(0)) for name in self.INDEXER)
        w["a"] = torch.cat([self.q_a, self.kv_a], 1).to(self.dtype).unbind(0)
        w["gate_up"] = torch.cat([self.gate, self.up], 1).to(self.dtype).unbind(0)
        return w

    def hidden(self, tokens, positions, sparse=False, rows=None, record=None):
        """tokens, positions [B, T] -> (x [B * T, D] before the last norm, KL loss or None).

        sparse: attention over the indexers' top-k instead of all positions. rows [B, R]: query positions at which the
        indexers are trained (L_multi). record: a dict that receives "mass", the attention mass held by each Full layer's
        top-k at those positions.
        """
        c, (batch, length) = self.config, tokens.shape
        w = self._cast()
        cos, sin = self.cos[positions.flatten()], self.sin[positions.flatten()]
        x = F.embedding(tokens.flatten(), self.embed).to(self.dtype)
        sparse = sparse and length > c.index_topk
        seen = distill.visible(rows, length) if rows is not None else None
        scale = c.qk_head_dim ** -0.5
        full_at = {full: (f, layers) for f, (full, layers) in enumerate(distill.groups(c.indexer_types))}
        kl, mask, target, scores = 0.0, None, None, None
        for layer in range(c.num_hidden_layers):
            q, k, v, h, r = self._attention_input(x, w["input_norm"][layer], w["a"][layer], w["q_a_norm"][layer], w["q_b"][layer],
                                                  w["kv_a_norm"][layer], w["kv_b"][layer], cos, sin)
            q, k, v = (y.view(batch, length, *y.shape[1:]) for y in (q, k, v))
            if layer in full_at and (sparse or rows is not None):
                f, layers = full_at[layer]
                with torch.set_grad_enabled(rows is not None):  # also under a frozen, gradient-free model
                    index = self._index_input(h.detach(), r.detach(), *(w[n][f] for n in self.INDEXER), cos, sin)
                    index = [y.view(batch, length, *y.shape[1:]) for y in index]
                    if rows is not None:
                        scores = distill.index_rows(*index, rows)
                        target = distill.GroupTarget(len(layers))
                if sparse:
                    mask = sparse_attention.select(*(y.detach() for y in index), c.index_topk, 24 if torch.is_grad_enabled() else 32)
            if rows is not None:
                target.add(distill.attention_rows(q.detach(), k.detach(), rows, scale, seen))
                if layer == layers[-1]:
                    with torch.enable_grad():
                        kl = kl + distill.multi_layer_kl(target.mean(), scores, seen)
                    if record is not None:
                        record.setdefault("mass", []).append(distill.captured_mass(target.mean(), scores.detach(), seen, c.index_topk))
            if sparse:
                attention = sparse_attention.masked_attention(q, k, v, mask, scale)
            else:
                attention = dense_attention(q, k, v, scale)
            x = self._layer_output(x, attention.reshape(batch * length, -1), w["o"][layer], w["post_norm"][layer], w["gate_up"][layer],
                                   w["down"][layer])
        return x, (kl if rows is not None else None)

    def logits_loss(self, x, index, targets, weights):
        """Loss at the flat positions `index` of x; see loss()."""
        return self._loss(x[index], self.norm.to(self.dtype), self.head.to(self.dtype), targets, weights)

    @torch.no_grad()
    def predict(self, tokens, positions, index, sparse):
        """Arg-max next tokens at the flat positions `index`."""
        x, _ = self.hidden(tokens, positions, sparse)
        x = rms_norm(x[index], self.norm.to(self.dtype), self.config.rms_norm_eps)
        return torch.cat([(part @ self.head.to(self.dtype).T).argmax(-1) for part in x.split(32768)])


def names(config):
    """(transformers tensor name, parameter name, layer or None) of every tensor in a checkpoint."""
    pairs = [("model.embed_tokens.weight", "embed", None), ("model.norm.weight", "norm", None), ("lm_head.weight", "head", None)]
    per_layer = {"input_layernorm": "input_norm", "post_attention_layernorm": "post_norm", "self_attn.q_a_proj": "q_a",
                 "self_attn.q_a_layernorm": "q_a_norm", "self_attn.q_b_proj": "q_b", "self_attn.kv_a_proj_with_mqa": "kv_a",
                 "self_attn.kv_a_layernorm": "kv_a_norm", "self_attn.kv_b_proj": "kv_b", "self_attn.o_proj": "o",
                 "mlp.gate_proj": "gate", "mlp.up_proj": "up", "mlp.down_proj": "down"}
    indexer = {"wq_b.weight": "index_wq", "wk.weight": "index_wk", "k_norm.weight": "index_norm", "k_norm.bias": "index_norm_bias",
               "weights_proj.weight": "index_w"}
    full = 0
    for layer in range(config.num_hidden_layers):
        pairs += [(f"model.layers.{layer}.{theirs}.weight", ours, layer) for theirs, ours in per_layer.items()]
        if config.indexer_types[layer] == "full":
            pairs += [(f"model.layers.{layer}.self_attn.indexer.{theirs}", ours, full) for theirs, ours in indexer.items()]
            full += 1
    return pairs


def hf_config(config, tokenizer):
    """config.json contents. Expert fields are required by the class and unused: every layer is dense."""
    fields = dataclasses.asdict(config)
    theta = fields.pop("rope_theta")
    fields["indexer_types"] = list(config.indexer_types)
    end, user = tokenizer.added["<|endoftext|>"], tokenizer.added["<|user|>"]
    return {
        "architectures": ["GlmMoeDsaForCausalLM"], "model_type": "glm_moe_dsa", "dtype": "bfloat16", **fields,
        "num_key_value_heads": config.num_attention_heads, "qk_head_dim": config.qk_head_dim, "head_dim": config.qk_rope_head_dim,
        "rope_parameters": {"rope_type": "default", "rope_theta": theta}, "rope_theta": theta, "rope_interleave": True,
        "indexer_rope_interleave": True, "first_k_dense_replace": config.num_hidden_layers,
        "mlp_layer_types": ["dense"] * config.num_hidden_layers, "hidden_act": "silu", "mlp_bias": False, "attention_bias": False,
        "attention_dropout": 0.0, "initializer_range": 0.02, "moe_intermediate_size": 32, "n_routed_experts": 2, "n_shared_experts": 1,
        "num_experts_per_tok": 1, "n_group": 1, "topk_group": 1, "norm_topk_prob": True, "routed_scaling_factor": 1.0,
        "tie_word_embeddings": False, "use_cache": True, "bos_token_id": None, "pad_token_id": end, "eos_token_id": [end, user],
        "num_nextn_predict_layers": 0,
    }


def export_tensors(model):
    """{transformers name: bf16 CPU tensor}."""
    params = dict(model.named_parameters())
    return {theirs: (params[ours] if layer is None else params[ours][layer]).detach().to(torch.bfloat16).cpu().contiguous()
            for theirs, ours, layer in names(model.config)}


def import_tensors(model, tensors):
    """Copies a checkpoint's tensors into the model."""
    params = dict(model.named_parameters())
    with torch.no_grad():
        for theirs, ours, layer in names(model.config):
            (params[ours] if layer is None else params[ours][layer]).copy_(tensors[theirs])


_DTYPES = {"BF16": torch.bfloat16, "F32": torch.float32}


def save_safetensors(tensors, path):
    """Writes a safetensors file of bf16 tensors, in the given order."""
    header, offset = {}, 0
    for name, t in tensors.items():
        header[name] = {"dtype": "BF16", "shape": list(t.shape), "data_offsets": [offset, offset + 2 * t.numel()]}
        offset += 2 * t.numel()
    header["__metadata__"] = {"format": "pt"}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text)
        for t in tensors.values():
            f.write(t.view(torch.int16).numpy().tobytes())


def load_safetensors(path):
    """{name: tensor} of a safetensors file."""
    with open(path, "rb") as f:
        header = json.loads(f.read(int.from_bytes(f.read(8), "little")))
        data = bytearray(f.read())
    header.pop("__metadata__", None)
    return {name: torch.frombuffer(data, dtype=_DTYPES[e["dtype"]], count=math.prod(e["shape"]),
                                   offset=e["data_offsets"][0]).reshape(e["shape"]) for name, e in header.items()}
