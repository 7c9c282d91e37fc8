"""Muon for stacked matrices, Adam for the rest.

Muon (Jordan et al., 2024) replaces the momentum of a matrix by its nearest semi-orthogonal matrix, found with five steps of a
quintic Newton-Schulz iteration (the coefficients are from the author's description).
"""

import torch

WEIGHT_DECAY = 0.05
MOMENTUM = 0.95


def orthogonalize(g):
    """g [n, rows, cols], rows >= cols -> about U V^T of each matrix, fp32; computed in bf16."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g.mT.bfloat16()
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = a * x + torch.baddbmm(gram, gram, gram, beta=b, alpha=c) @ x
    return x.mT.float()


class Muon:
    """params: list of [n, rows, cols] parameters. Those of one shape, up to transposition, are orthogonalized together."""

    def __init__(self, params):
        self.params = params
        self.momentum = [torch.zeros_like(p) for p in params]
        shapes = {}
        for i, p in enumerate(params):
            shapes.setdefault(tuple(sorted(p.shape[1:])), []).append(i)
        self.groups = list(shapes.values())

    @torch.no_grad()
    def step(self, lr):
        grads = [p.grad for p in self.params]
        torch._foreach_mul_(self.momentum, MOMENTUM)
        torch._foreach_add_(self.momentum, grads, alpha=1 - MOMENTUM)
        updates = list(torch._foreach_mul(grads, 1 - MOMENTUM))  # Nesterov: the gradient once more beside the momentum
        torch._foreach_add_(updates, self.momentum, alpha=MOMENTUM)
        for group in self.groups:
            tall = [u if u.shape[1] >= u.shape[2] else u.mT for u in (updates[i] for i in group)]
            parts = orthogonalize(torch.cat(tall)).split([len(u) for u in tall])
            for i, part in zip(group, parts):
                p = self.params[i]
                part = part if p.shape[1] >= p.shape[2] else part.mT
                updates[i] = part * max(1, p.shape[1] / p.shape[2]) ** 0.5
        torch._foreach_mul_(self.params, 1 - lr * WEIGHT_DECAY)
        torch._foreach_add_(self.params, updates, alpha=-lr)
        for p in self.params:
            p.grad = None


class Optimizer:
    """One training target (the model, or its indexers). Learning rates are the peak ones times `scale` of step()."""

    def __init__(self, matrices, embeddings, others, muon_lr=0.02, embedding_lr=0.01, other_lr=0.004):
        self.muon, self.muon_lr = Muon(matrices), muon_lr
        fused = others[0].is_cuda
        groups = [{"params": p, "lr": lr, "peak": lr} for p, lr in ((embeddings, embedding_lr), (others, other_lr)) if p]
        self.adam = torch.optim.Adam(groups, betas=(0.9, 0.95), eps=1e-10, **({"fused": True} if fused else {}))

    def step(self, scale):
        self.muon.step(self.muon_lr * scale)
        for group in self.adam.param_groups:
            group["lr"] = group["peak"] * scale
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)

    def state_dict(self):
        return {"momentum": self.muon.momentum, "adam": self.adam.state_dict()}

    def load_state_dict(self, state):
        for mine, saved in zip(self.muon.momentum, state["momentum"]):
            mine.copy_(saved)
        self.adam.load_state_dict(state["adam"])


def for_model(model):
    """(optimizer of everything but the indexers, optimizer of the indexers)."""
    own = {n: p for n, p in model.named_parameters() if n not in model.INDEXER}
    matrices = [p for p in own.values() if p.ndim == 3]
    vectors = [p for n, p in own.items() if p.ndim < 3 and n != "embed"]
    indexer = [getattr(model, n) for n in model.INDEXER]
    return (Optimizer(matrices, [model.embed], vectors),
            Optimizer([model.index_wq, model.index_wk], [], [p for p in indexer if p is not model.index_wq and p is not model.index_wk],
                      muon_lr=0.01, other_lr=0.002))
