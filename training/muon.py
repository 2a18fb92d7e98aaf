"""The Muon optimiser in float32, equal shapes in one batched product.

`torch.optim.Muon` orthogonalises in bfloat16, one matrix after another, which is slow on processors without bfloat16.
Method and coefficients: Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def orthogonalise(update: Tensor, steps: int = 5) -> Tensor:
    """Newton-Schulz iteration towards the nearest orthogonal matrices, (batch, rows, columns)."""
    a, b, c = COEFFICIENTS
    wide = update.shape[1] <= update.shape[2]
    x = update if wide else update.mT
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x if wide else x.mT


class Muon(torch.optim.Optimizer):  # type: ignore[misc]
    """Momentum, orthogonalised, for the 2-D weights of hidden layers."""

    def __init__(
        self, weights: Iterable[Tensor], lr: float, momentum: float = 0.95, weight_decay: float = 0.01
    ) -> None:
        super().__init__(weights, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def step(self, closure: None = None) -> None:  # noqa: ARG002 - torch's signature
        """Take one step; each rank orthogonalises its share of the matrices."""
        for group in self.param_groups:
            weights: list[Tensor] = group["params"]
            updates = [self._momentum(weight, group["momentum"]) for weight in weights]
            self._orthogonalise_share(updates)
            for weight, update in zip(weights, updates, strict=True):
                scale = max(1.0, weight.shape[0] / weight.shape[1]) ** 0.5
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(update, alpha=-group["lr"] * scale)

    def _orthogonalise_share(self, updates: list[Tensor]) -> None:
        ranks, rank = dist.get_world_size(), dist.get_rank()
        shapes: dict[torch.Size, list[int]] = {}
        for index, update in enumerate(updates):
            if index % ranks == rank:
                shapes.setdefault(update.shape, []).append(index)
            else:
                update.zero_()
        for indices in shapes.values():
            done = orthogonalise(torch.stack([updates[index] for index in indices]))
            for index, result in zip(indices, done, strict=True):
                updates[index].copy_(result)
        all_reduce(updates)

    def _momentum(self, weight: Tensor, momentum: float) -> Tensor:
        assert weight.grad is not None
        state = self.state[weight]
        if "buffer" not in state:
            state["buffer"] = torch.zeros_like(weight)
        buffer: Tensor = state["buffer"]
        buffer.lerp_(weight.grad, 1 - momentum)
        return weight.grad.lerp(buffer, momentum)


def all_reduce(tensors: list[Tensor]) -> None:
    """Sum each tensor over the ranks, in place, as one message."""
    if dist.get_world_size() == 1:
        return
    joined = torch.cat([tensor.flatten() for tensor in tensors])
    dist.all_reduce(joined)
    for tensor, part in zip(tensors, joined.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))
