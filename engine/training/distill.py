"""The multi-layer indexer loss of IndexCache, for any glm_moe_dsa model.

A Full layer's indexer serves its own layer and the Shared layers after it. It is trained towards the mean of those layers'
attention distributions (IndexCache, section 3.2; L_multi):

    L_multi = sum_{j=0..m} 1/(m+1) sum_t KL(p_t^(l+j) || q_t^(l)),   q_t^(l) = softmax(I_t^(l))

whose gradient equals that of KL(mean_j p^(l+j) || q^(l)), so the running mean is all that is kept. A loss over sampled query
rows is enough: every row gives a target for all keys it sees.

To use it on another checkpoint: freeze the model, run it with dense attention, call `attention_rows` in every layer with
that layer's queries and keys (after RoPE), add the results in a `GroupTarget`, and at the last layer of each group take
`multi_layer_kl` between the group's mean and `index_scores` of the group's Full layer; then train on with sparse attention
and the language-model loss beside it (`train.py` does both).

Support of the loss: the paper takes all visible keys during warm-up and the selected ones later. Here it is all visible keys
in both: keys that the selection misses keep pulling, which matters when training is short.
"""

import math

import torch

from sparse_attention import index_scores


def groups(indexer_types):
    """[(full layer, [layers it serves])] of a list of "full"/"shared"; the first layer must be full."""
    if indexer_types[0] != "full":
        raise ValueError("layer 0 must be full")
    result = []
    for layer, kind in enumerate(indexer_types):
        if kind == "full":
            result.append((layer, []))
        result[-1][1].append(layer)
    return result


def visible(rows, length):
    """[B, R, T] bool: key position <= query position. rows [B, R] int64."""
    return torch.arange(length, device=rows.device) <= rows[..., None]


@torch.no_grad()
def attention_rows(q, k, rows, scale, seen):
    """Head-mean attention of sampled queries: q, k [B, T, H, D], rows [B, R], seen [B, R, T] -> [B, R, T] fp32, rows sum to 1."""
    index = rows[..., None, None].expand(-1, -1, q.shape[2], q.shape[3])
    scores = torch.matmul(q.gather(1, index).transpose(1, 2), k.permute(0, 2, 3, 1)).float() * scale  # [B, H, R, T]
    scores.masked_fill_(~seen[:, None], -math.inf)
    return scores.softmax(-1).mean(1)


class GroupTarget:
    """Running mean of the layers' attention rows in one group."""

    def __init__(self, num_layers):
        self.num_layers, self.sum = num_layers, None

    def add(self, attention):
        self.sum = attention if self.sum is None else self.sum + attention

    def mean(self):
        return self.sum / self.num_layers


def index_rows(index_q, index_k, index_w, rows):
    """Indexer scores of sampled queries, [B, R, T] fp32, with gradient. Shapes as in sparse_attention, rows [B, R]."""
    batch = torch.arange(rows.shape[0], device=rows.device)[:, None]
    return index_scores(index_q[batch, rows], index_k, index_w[batch, rows])


def multi_layer_kl(target, scores, seen):
    """Mean over rows of KL(target || softmax(scores over visible keys)). target, scores [B, R, T] fp32; seen [B, R, T]."""
    log_q = scores.masked_fill(~seen, -math.inf).log_softmax(-1).masked_fill(~seen, 0.0)
    entropy = torch.special.xlogy(target, target).sum(-1)
    return (entropy - (target * log_q).sum(-1)).mean()


@torch.no_grad()
def captured_mass(target, scores, seen, topk):
    """Share of the target distribution that the indexer's top-k holds, mean over rows: how good a selection is."""
    top = scores.masked_fill(~seen, -math.inf).topk(min(topk, scores.shape[-1]), dim=-1).indices
    return target.gather(-1, top).sum(-1).mean()
