"""Top-k selection and attention through a selection mask, differentiable, for training at 2K..32K tokens.

At these lengths a mask that is read tile by tile is faster than gathering: one byte a (query, key) pair, shared by all heads
of a layer and by all layers of an IndexCache group. On CUDA three Triton kernels do the work: indexer scores in tiles, the
exact k-th largest score of each row by bisection over its bits, and FlashAttention-2 with the mask. Elsewhere plain PyTorch.

Shapes: B sequences of T tokens; q, k, v [B, T, H, D]; index_q [B, T, Hi, Di]; index_k [B, T, Di]; index_w [B, T, Hi] fp32,
already scaled by Hi^-0.5 Di^-0.5; mask [B, T, T] uint8, row = query, 1 = selected.
"""

import math

import torch

try:
    import triton
    import triton.language as tl
except ImportError:  # CPU-only installations
    triton = None


def index_scores(index_q, index_k, index_w):
    """I[b, t, s] = sum_h w[b, t, h] relu(q[b, t, h] . k[b, s]); rows may be any subset of the queries. Plain PyTorch, fp32."""
    dots = torch.einsum("brhd,btd->brht", index_q, index_k).float()
    return torch.einsum("brht,brh->brt", torch.relu(dots), index_w)


def select_reference(index_q, index_k, index_w, topk):
    """The mask by torch.topk."""
    length = index_k.shape[1]
    scores = index_scores(index_q, index_k, index_w)
    causal = torch.ones(length, length, dtype=torch.bool, device=scores.device).tril()
    scores = scores.masked_fill(~causal, -math.inf)
    chosen = scores.topk(min(topk, length), dim=-1).indices
    mask = torch.zeros(scores.shape, dtype=torch.uint8, device=scores.device).scatter_(-1, chosen, 1)
    return mask * causal


def attention_reference(q, k, v, mask, scale):
    scores = torch.einsum("bthd,bshd->bhts", q, k).float() * scale
    scores = scores.masked_fill(mask[:, None] == 0, -math.inf)
    return torch.einsum("bhts,bshd->bthd", scores.softmax(-1).to(v.dtype), v)


if triton is not None:

    @triton.jit
    def _scores_kernel(Q, K, W, S, T, HEADS: tl.constexpr, DIM: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr):
        """One [BM, BN] tile of the indexer scores; tiles above the diagonal stay unwritten."""
        n, m, b = tl.program_id(0), tl.program_id(1), tl.program_id(2).to(tl.int64)
        if n * BN > m * BM + BM - 1:
            return
        rows, cols, d = m * BM + tl.arange(0, BM), n * BN + tl.arange(0, BN), tl.arange(0, DIM)
        k = tl.load(K + (b * T + cols)[:, None] * DIM + d[None, :])
        acc = tl.zeros([BM, BN], dtype=tl.float32)
        for h in tl.static_range(HEADS):
            q = tl.load(Q + ((b * T + rows) * HEADS + h)[:, None] * DIM + d[None, :])
            w = tl.load(W + (b * T + rows) * HEADS + h)
            acc += tl.maximum(tl.dot(q, tl.trans(k)), 0.0) * w[:, None]
        tl.store(S + (b * T + rows)[:, None] * T + cols[None, :], acc)

    @triton.jit
    def _select_kernel(S, M, T, TOPK, FIRST, BLOCK: tl.constexpr, BITS: tl.constexpr):
        """Marks the TOPK largest causal scores of row FIRST + program id (< BLOCK); among equals the lower position wins."""
        row, b = FIRST + tl.program_id(0), tl.program_id(1).to(tl.int64)
        cols = tl.arange(0, BLOCK)
        seen = cols <= row
        base = (b * T + row) * T
        bits = tl.load(S + base + cols, mask=seen, other=0.0).to(tl.int32, bitcast=True)
        # Order-preserving map of floats to unsigned integers.
        keys = tl.where(bits < 0, ~bits, bits ^ -2147483648).to(tl.uint32, bitcast=True)
        if BITS < 32:
            keys = (keys >> (32 - BITS)) << (32 - BITS)
        keys = tl.where(seen, keys, 0)
        threshold = tl.zeros([], dtype=tl.uint32)
        for step in range(BITS):
            candidate = threshold | (tl.full([], 1, tl.uint32) << (31 - step).to(tl.uint32))
            count = tl.sum((keys >= candidate).to(tl.int32), axis=0)
            threshold = tl.where(count >= TOPK, candidate, threshold)
        above = seen & (keys > threshold)
        equal = seen & (keys == threshold)
        room = TOPK - tl.sum(above.to(tl.int32), axis=0)
        chosen = above | (equal & (tl.cumsum(equal.to(tl.int32), axis=0) <= room))
        chosen = tl.where(row < TOPK, seen, chosen)
        tl.store(M + base + cols, chosen.to(tl.uint8), mask=cols < T)

    @triton.jit
    def _forward_kernel(Q, K, V, M, O, L, T, qk_scale, sqt, sqh, skt, skh, svt, svh,
                        HEADS: tl.constexpr, DIM: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr):
        pid, b = tl.program_id(0), tl.program_id(1).to(tl.int64)
        h = pid % HEADS
        m = tl.num_programs(0) // HEADS - 1 - pid // HEADS  # long rows first
        rows, d = m * BM + tl.arange(0, BM), tl.arange(0, DIM)
        q = tl.load(Q + (b * T + rows)[:, None] * sqt + h * sqh + d[None, :])
        top = tl.full([BM], -float("inf"), tl.float32)
        total = tl.zeros([BM], tl.float32)
        acc = tl.zeros([BM, DIM], tl.float32)
        for start in range(0, (m + 1) * BM, BN):
            cols = start + tl.arange(0, BN)
            k = tl.load(K + (b * T + cols)[:, None] * skt + h * skh + d[None, :])
            on = tl.load(M + (b * T + rows)[:, None] * T + cols[None, :])
            s = tl.where(on != 0, tl.dot(q, tl.trans(k)) * qk_scale, -float("inf"))
            new_top = tl.maximum(top, tl.max(s, 1))
            safe = tl.where(new_top == -float("inf"), 0.0, new_top)
            p = tl.exp2(s - safe[:, None])
            alpha = tl.exp2(top - safe)
            total = total * alpha + tl.sum(p, 1)
            v = tl.load(V + (b * T + cols)[:, None] * svt + h * svh + d[None, :])
            acc = acc * alpha[:, None] + tl.dot(p.to(v.dtype), v)
            top = new_top
        tl.store(O + ((b * T + rows) * HEADS + h)[:, None] * DIM + d[None, :], (acc / total[:, None]).to(O.dtype.element_ty))
        tl.store(L + (b * HEADS + h) * T + rows, top + tl.log2(total))

    @triton.jit
    def _backward_kv_kernel(Q, K, V, M, DO, L, DELTA, DK, DV, T, qk_scale, scale, sqt, sqh, skt, skh, svt, svh,
                            HEADS: tl.constexpr, DIM: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr):
        pid, b = tl.program_id(0), tl.program_id(1).to(tl.int64)
        h, n = pid % HEADS, pid // HEADS
        cols, d = n * BN + tl.arange(0, BN), tl.arange(0, DIM)
        k = tl.load(K + (b * T + cols)[:, None] * skt + h * skh + d[None, :])
        v = tl.load(V + (b * T + cols)[:, None] * svt + h * svh + d[None, :])
        dk = tl.zeros([BN, DIM], tl.float32)
        dv = tl.zeros([BN, DIM], tl.float32)
        for start in range((n * BN) // BM * BM, T, BM):
            rows = start + tl.arange(0, BM)
            q = tl.load(Q + (b * T + rows)[:, None] * sqt + h * sqh + d[None, :])
            do = tl.load(DO + ((b * T + rows) * HEADS + h)[:, None] * DIM + d[None, :])
            lse = tl.load(L + (b * HEADS + h) * T + rows)
            delta = tl.load(DELTA + (b * HEADS + h) * T + rows)
            on = tl.load(M + (b * T + rows)[:, None] * T + cols[None, :])
            p = tl.where(on != 0, tl.exp2(tl.dot(q, tl.trans(k)) * qk_scale - lse[:, None]), 0.0)
            dv += tl.dot(tl.trans(p.to(do.dtype)), do)
            ds = p * (tl.dot(do, tl.trans(v)) - delta[:, None]) * scale
            dk += tl.dot(tl.trans(ds.to(q.dtype)), q)
        out = ((b * T + cols) * HEADS + h)[:, None] * DIM + d[None, :]
        tl.store(DK + out, dk.to(DK.dtype.element_ty))
        tl.store(DV + out, dv.to(DV.dtype.element_ty))

    @triton.jit
    def _backward_q_kernel(Q, K, V, M, DO, L, DELTA, DQ, T, qk_scale, scale, sqt, sqh, skt, skh, svt, svh,
                           HEADS: tl.constexpr, DIM: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr):
        pid, b = tl.program_id(0), tl.program_id(1).to(tl.int64)
        h = pid % HEADS
        m = tl.num_programs(0) // HEADS - 1 - pid // HEADS
        rows, d = m * BM + tl.arange(0, BM), tl.arange(0, DIM)
        q = tl.load(Q + (b * T + rows)[:, None] * sqt + h * sqh + d[None, :])
        do = tl.load(DO + ((b * T + rows) * HEADS + h)[:, None] * DIM + d[None, :])
        lse = tl.load(L + (b * HEADS + h) * T + rows)
        delta = tl.load(DELTA + (b * HEADS + h) * T + rows)
        dq = tl.zeros([BM, DIM], tl.float32)
        for start in range(0, (m + 1) * BM, BN):
            cols = start + tl.arange(0, BN)
            k = tl.load(K + (b * T + cols)[:, None] * skt + h * skh + d[None, :])
            v = tl.load(V + (b * T + cols)[:, None] * svt + h * svh + d[None, :])
            on = tl.load(M + (b * T + rows)[:, None] * T + cols[None, :])
            p = tl.where(on != 0, tl.exp2(tl.dot(q, tl.trans(k)) * qk_scale - lse[:, None]), 0.0)
            ds = p * (tl.dot(do, tl.trans(v)) - delta[:, None]) * scale
            dq += tl.dot(ds.to(k.dtype), k)
        tl.store(DQ + ((b * T + rows) * HEADS + h)[:, None] * DIM + d[None, :], dq.to(DQ.dtype.element_ty))

    class _MaskedAttention(torch.autograd.Function):
        # (BM, BN, warps, stages) of the three kernels: the fastest of six each on an H200 at 8K tokens.
        FORWARD, BACKWARD_KV, BACKWARD_Q = (128, 64, 8, 3), (64, 64, 4, 2), (128, 64, 4, 2)

        @staticmethod
        def forward(ctx, q, k, v, mask, scale):
            batch, length, heads, dim = q.shape
            out = torch.empty((batch, length, heads, dim), dtype=q.dtype, device=q.device)
            lse = torch.empty((batch, heads, length), dtype=torch.float32, device=q.device)
            bm, bn, warps, stages = _MaskedAttention.FORWARD
            strides = [s for x in (q, k, v) for s in (x.stride(1), x.stride(2))]
            _forward_kernel[(heads * (length // bm), batch)](
                q, k, v, mask, out, lse, length, scale * math.log2(math.e), *strides, HEADS=heads, DIM=dim, BM=bm, BN=bn,
                num_warps=warps, num_stages=stages)
            ctx.save_for_backward(q, k, v, mask, out, lse)
            ctx.scale = scale
            return out

        @staticmethod
        def backward(ctx, dout):
            q, k, v, mask, out, lse = ctx.saved_tensors
            batch, length, heads, dim = q.shape
            dout = dout.contiguous()
            delta = (out.float() * dout.float()).sum(-1).transpose(1, 2).contiguous()
            dq, dk, dv = (torch.empty((batch, length, heads, dim), dtype=q.dtype, device=q.device) for _ in range(3))
            strides = [s for x in (q, k, v) for s in (x.stride(1), x.stride(2))]
            common = (length, ctx.scale * math.log2(math.e), ctx.scale, *strides)
            bm, bn, warps, stages = _MaskedAttention.BACKWARD_KV
            _backward_kv_kernel[(heads * (length // bn), batch)](
                q, k, v, mask, dout, lse, delta, dk, dv, *common, HEADS=heads, DIM=dim, BM=bm, BN=bn, num_warps=warps, num_stages=stages)
            bm, bn, warps, stages = _MaskedAttention.BACKWARD_Q
            _backward_q_kernel[(heads * (length // bm), batch)](
                q, k, v, mask, dout, lse, delta, dq, *common, HEADS=heads, DIM=dim, BM=bm, BN=bn, num_warps=warps, num_stages=stages)
            return dq, dk, dv, None, None


def select(index_q, index_k, index_w, topk, bits=32):
    """Selection mask: the topk highest-scoring visible positions of every query, all of them where fewer are visible.

    bits: leading bits of the fp32 scores that count (CUDA). Training takes 24, which is faster; scores closer together than
    that go by position.
    """
    if triton is None or not index_q.is_cuda:
        return select_reference(index_q, index_k, index_w, topk)
    batch, length, heads, dim = index_q.shape
    index_q, index_k, index_w = index_q.contiguous(), index_k.contiguous(), index_w.contiguous()
    mask = torch.empty((batch, length, length), dtype=torch.uint8, device=index_q.device)
    # Scores take 4 bytes a pair: bound the scratch to about 5 GB by going through the sequences in groups.
    group = max(1, int(5e9 // (4 * length * length)))
    for start in range(0, batch, group):
        part = slice(start, min(batch, start + group))
        size = part.stop - part.start
        scores = torch.empty((size, length, length), dtype=torch.float32, device=index_q.device)
        tile = min(128, length)
        _scores_kernel[(length // tile, length // tile, size)](
            index_q[part], index_k[part], index_w[part], scores, length, HEADS=heads, DIM=dim, BM=tile, BN=tile, num_warps=8)
        first, block = 0, min(2048, triton.next_power_of_2(length))
        while first < length:  # rows by how far they see; a row's columns beyond its block are never read
            _select_kernel[(min(block, length) - first, size)](scores, mask[part], length, topk, first, BLOCK=block, BITS=bits,
                                                               num_warps=max(2, block // 2048))
            first, block = block, 2 * block
    return mask


def masked_attention(q, k, v, mask, scale):
    """softmax(scale q k^T restricted to mask) v, [B, T, H, D]; T a multiple of 128 on CUDA. Differentiable in q, k, v."""
    if triton is None or not q.is_cuda:
        return attention_reference(q, k, v, mask, scale)
    return _MaskedAttention.apply(q, k, v, mask, scale)
