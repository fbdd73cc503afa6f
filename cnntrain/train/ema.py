"""Exponential moving average of a network's weights, and of its buffers.

`average <- d * average + (1 - d) * value` after each step (Polyak and Juditsky 1992; Szegedy et al.
2016, section 8). Batch norm's running statistics are averaged too: the average network is then
consistent. Integer buffers are copied.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from cnntrain.checkpoint import State


class Ema:
    """Keeps a second network, in evaluation mode, whose weights follow those of the first.

    Args:
        model: the network that is trained, already on its device and in its memory format.
        decay: d, such as 0.999; about `1 / (1 - d)` steps are averaged.
        warmup: use `min(decay, (1 + t) / (10 + t))` at step t (from 1), so that the random initial
            weights are forgotten in a short run.
    """

    def __init__(self, model: nn.Module, *, decay: float, warmup: bool = True) -> None:
        self.decay = decay
        self.warmup = warmup
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        pairs = list(zip(_tensors(self.model), _tensors(model), strict=True))
        self._averages = [average for average, _ in pairs if average.is_floating_point()]
        self._values = [value for _, value in pairs if value.is_floating_point()]
        self._copied = [(a, v) for a, v in pairs if not a.is_floating_point()]

    def decay_at(self, step: int) -> float:
        """d of the step-th update, from 1."""
        return min(self.decay, (1 + step) / (10 + step)) if self.warmup else self.decay

    @torch.no_grad()
    def update(self, *, step: int) -> None:
        """Take in the weights after optimizer step `step` (from 1)."""
        torch._foreach_lerp_(self._averages, self._values, 1.0 - self.decay_at(step))
        for average, value in self._copied:
            average.copy_(value)

    def state_dict(self) -> State:
        """The averages by name: a state_dict of the network."""
        return dict(self.model.state_dict())


def _tensors(model: nn.Module) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]
