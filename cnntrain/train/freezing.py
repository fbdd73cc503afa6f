"""What is frozen while a network is fine-tuned: a pure function of the epoch.

Frozen layers keep their weights and their batch normalisation statistics, and compute as in
evaluation: dropout and stochastic depth in them do nothing. No gradient is computed for them, and
below the first layer that learns nothing is kept for the backward pass.

Layers may learn from a later epoch on, usually the last ones first (gradual unfreezing: Howard and
Ruder, "Universal Language Model Fine-tuning for Text Classification", 2018, section 3.3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import nn

from cnntrain.core.patterns import around, covered


@dataclass(frozen=True)
class Freezing:
    """Which layers are frozen, and until when; without arguments none does.

    Args:
        layers: names or shell patterns; what is in a layer is frozen with it.
        until: epoch, from 1, to names or patterns of those of them that learn from then on.
    """

    layers: tuple[str, ...] = ()
    until: Mapping[int, tuple[str, ...]] = field(default_factory=dict)

    @property
    def settled(self) -> int:
        """The epoch from which on nothing changes any more."""
        return max(self.until, default=1)

    def begins(self, name: str) -> int | None:
        """The epoch, from 1, from which on a parameter or a module learns; None: it never does."""
        if not covered(self.layers, name):
            return 1
        epochs = [epoch for epoch, patterns in self.until.items() if covered(patterns, name)]
        return min(epochs, default=None)

    def stands_still(self, name: str, *, epoch: int) -> bool:
        """Whether a parameter or a module is frozen in an epoch, from 1."""
        begin = self.begins(name)
        return begin is None or begin > epoch

    def hold(self, net: nn.Module, *, epoch: int) -> None:
        """Freeze the layers that are frozen in an epoch, from 1, and let the others learn.

        A parameter learns if it has `requires_grad`; a module that is frozen with all that is in
        it gets `frozen = True`, which `training_mode` obeys. Without layers nothing is touched.
        """
        if not self.layers:
            return
        for name, parameter in net.named_parameters():
            parameter.requires_grad_(not self.stands_still(name, epoch=epoch))
        modules = dict(net.named_modules())
        learn = {
            outer
            for name in modules
            if not self.stands_still(name, epoch=epoch)
            for outer in around(name)
        }
        for name, module in modules.items():
            object.__setattr__(module, "frozen", name not in learn)
