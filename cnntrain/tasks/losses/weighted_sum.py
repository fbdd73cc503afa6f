"""The sum of several heads' losses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from cnntrain.tasks import loss
from cnntrain.tasks.criterion import Criterion


@dataclass(frozen=True, eq=False)
class Term:
    """One head's part of the sum.

    Args:
        weight: its factor.
        loss: of the head's outputs and targets.
        part: takes these out of outputs and targets of all heads.
    """

    weight: float
    loss: Criterion
    part: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True, eq=False)
class WeightedSum:
    """See `weighted_sum`; the task puts in its `terms`."""

    terms: tuple[Term, ...] = ()

    def __call__(self, outputs: Tensor, targets: Tensor, /) -> Tensor:
        """0-d: the sum of weight times mean loss; a weight of 0 leaves a head out."""
        counted = [term for term in self.terms if term.weight]
        losses = [term.weight * term.loss(*term.part(outputs, targets)) for term in counted]
        return torch.stack(losses).sum() if len(losses) > 1 else losses[0]

    def weight(self, targets: Tensor, /) -> float:
        """N."""
        return float(targets.shape[0])

    def plain(self, *, weighted: bool = False) -> Criterion:
        """The sum of the plain losses."""
        plain = [(term, term.loss.plain(weighted=weighted)) for term in self.terms]
        if all(each is term.loss for term, each in plain):
            return self
        return replace(self, terms=tuple(replace(term, loss=each) for term, each in plain))


@loss("weighted_sum", fits=("several",))
def weighted_sum() -> WeightedSum:
    """Sum of the losses of several heads, each times its weight: `sum_h weight_h loss_h`.

    The losses and weights are those of `task.heads`. Caruana, "Multitask Learning", 1997.
    """
    return WeightedSum()
