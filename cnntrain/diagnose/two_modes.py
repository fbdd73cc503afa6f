"""Layers that compute something else in evaluation than in training, to the network's harm."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from cnntrain.data.batch import Batch
from cnntrain.diagnose.modules import logits_of
from cnntrain.diagnose.report import Finding
from cnntrain.show.words import listed
from cnntrain.tasks.criterion import Criterion

SETTLING = 3
"""Passes over the images after which running averages of the usual momentum have arrived."""

HARM, SHARE = 0.05, 0.6
"""By how much the loss must fall, in shares of that of guessing, where the layers compute as in
training, and to which share of it."""


@dataclass(frozen=True)
class TwoModes:
    """Layers of one kind, by name, and the loss in evaluation: as it is, and with them as in
    training."""

    layers: tuple[str, ...]
    what: str
    evaluated: float
    without: float

    def finding(self, steps: int) -> Finding:
        """The fault, found after so many steps of training."""
        named = listed([f"'{name}'" for name in self.layers])
        return Finding(
            "other_in_evaluation",
            f"{named} ({self.what}) computes something else in evaluation than in training",
            f"after {steps} steps the loss of the training images is {self.evaluated:.3g} in "
            f"evaluation, and {self.without:.3g} where only this layer computes as in training",
            "compare what its `forward` does with and without `self.training`: outputs must "
            "have the same scale in both",
            layers=self.layers,
        )


@torch.no_grad()
def two_modes(
    trained: nn.Module, batches: Sequence[Batch], *, criterion: Criterion, chance: float
) -> TwoModes | None:
    """Let the layers of one kind at a time compute as in training, and the others as in evaluation.

    Those of torch itself are right.

    Args:
        trained: the network; it is not changed.
        batches: training images, as evaluation prepares them.
        criterion: the loss.
        chance: that of guessing.
    """
    kinds: dict[type[nn.Module], list[str]] = {}
    for name, module in trained.named_modules():
        if name and not any(module.children()) and not _is_of_torch(module):
            kinds.setdefault(type(module), []).append(name)
    judged = copy.deepcopy(trained).eval()
    for names in kinds.values():
        for name in names:
            judged.get_submodule(name).train()
    for _ in range(SETTLING if kinds else 0):  # running averages of their own
        logits_of(judged, batches)
    judged.eval()

    def loss() -> float:
        with torch.random.fork_rng(devices=[]):
            outputs, targets = logits_of(judged, batches)
        return float(criterion(outputs, targets))

    as_it_is = loss() if kinds else 0.0
    found: list[TwoModes] = []
    for kind, names in kinds.items():
        modules = [judged.get_submodule(name) for name in names]
        kept = copy.deepcopy([module.state_dict() for module in modules])
        for module in modules:
            module.train()
        changed = loss()
        for module, state in zip(modules, kept, strict=True):
            module.eval().load_state_dict(state)
        if changed < min(SHARE * as_it_is, as_it_is - HARM * chance):
            found.append(TwoModes(tuple(names), kind.__name__, as_it_is, changed))
    return min(found, key=lambda each: each.without, default=None)


def _is_of_torch(module: nn.Module) -> bool:
    return type(module).__module__.startswith("torch.")
