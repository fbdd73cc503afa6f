"""Muon: orthogonal steps for matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from cnntrain.core.kinds import BelowOne, Betas, Positive, PositiveFloat
from cnntrain.optim import optimizer
from cnntrain.optim.groups import ParameterGroup
from cnntrain.optim.guarded import Buffers, GuardedOptimizer, adam_buffers, adam_direction

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Jordan's, whose slope at 0 is steep: singular values end between about 0.7 and 1.2."""


@optimizer("muon", defaults={"weight_decay": 0.1})
class Muon(GuardedOptimizer):
    """Muon: the momentum of a matrix is made orthogonal before it moves the weights.

    For weights of linear layers and convolutions (as out x rest): m <- momentum m + (1 - momentum)
    g; u = (1 - momentum) g + momentum m with nesterov, else m; w <- w - lr (scale NS(u) +
    weight_decay w), where NS is the Newton-Schulz iteration X <- a X + (b A + c A^2) X, A = X X^T,
    of u / |u|. Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024.
    Biases, normalisations and all else with fewer than two dimensions get AdamW's step at that lr.

    Args:
        momentum: Share of the average gradient that each step keeps.
        nesterov: Look ahead along the average.
        steps: Iterations of Newton-Schulz.
        scale: match_rms_adamw: 0.2 sqrt(max(rows, columns)), so that AdamW's lr fits (Liu et al.,
            "Muon is Scalable for LLM Training", 2025, equation 4); original: sqrt(max(1, rows /
            columns)).
        betas: Of AdamW: shares that its averages keep in each step.
        epsilon: Of AdamW: added to the root of the second average.
    """

    def __init__(
        self,
        *,
        groups: Sequence[ParameterGroup],
        momentum: BelowOne = 0.95,
        nesterov: bool = True,
        steps: Positive = 5,
        scale: Literal["match_rms_adamw", "original"] = "match_rms_adamw",
        betas: Betas = (0.9, 0.999),
        epsilon: PositiveFloat = 1e-8,
    ) -> None:
        numbers = {
            "momentum": momentum,
            "nesterov": nesterov,
            "steps": steps,
            "scale": scale,
            "betas": betas,
            "epsilon": epsilon,
        }
        super().__init__(groups, numbers)

    def start(self, parameter: Tensor, group: Mapping[str, Any]) -> Buffers:
        """The momentum of a matrix, or what AdamW has: nothing yet."""
        if parameter.ndim < 2:
            return adam_buffers(parameter)
        return {"momentum_buffer": torch.zeros_like(parameter)}

    def move(
        self, parameter: Tensor, gradient: Tensor, buffers: Buffers, group: Mapping[str, Any]
    ) -> tuple[Tensor, Buffers]:
        """One step."""
        if parameter.ndim < 2:
            direction, after = adam_direction(
                gradient, buffers, betas=group["betas"], epsilon=group["epsilon"]
            )
        else:
            momentum = buffers["momentum_buffer"].lerp(gradient, 1 - group["momentum"])
            after = {"momentum_buffer": momentum}
            ahead = gradient.lerp(momentum, group["momentum"]) if group["nesterov"] else momentum
            matrix = orthogonal(ahead.flatten(1), steps=group["steps"])
            direction = _scale(matrix, group["scale"]) * matrix.view(parameter.shape)
        return parameter - group["lr"] * (direction + group["weight_decay"] * parameter), after


def orthogonal(matrix: Tensor, *, steps: int) -> Tensor:
    """Nearly U V^T of the matrix U S V^T, by Newton-Schulz: all singular values become about 1."""
    a, b, c = COEFFICIENTS
    is_tall = matrix.shape[0] > matrix.shape[1]
    found: Tensor = matrix.T if is_tall else matrix
    found = found / found.norm().clamp_min(1e-7)
    for _ in range(steps):
        gram = found @ found.T
        found = a * found + (b * gram + c * gram @ gram) @ found
    return found.T if is_tall else found


def _scale(matrix: Tensor, kind: str) -> float:
    rows, columns = matrix.shape
    if kind == "original":
        return float(max(1.0, rows / columns) ** 0.5)
    return 0.2 * float(max(rows, columns) ** 0.5)
