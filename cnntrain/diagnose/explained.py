"""How much of what is to be learnt a network explains, on the scale of the task itself.

Losses of other tasks than classification have any scale: of squared errors it is that of the
targets. What always giving the same answer costs is what guessing costs, of squared errors the
variance of the targets, so `1 - loss / guessing` is 1 at best and 0 for guessing: R2, where the
loss is the squared error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cnntrain.data.batch import Batch
from cnntrain.diagnose.modules import logits_of
from cnntrain.tasks.criterion import Criterion
from cnntrain.tasks.protocol import Result, Task
from cnntrain.train.briefly import chance_loss

CHUNK = 64
"""Images that are passed through at once."""


@dataclass(frozen=True)
class Explained:
    """What a network gives for some images.

    Args:
        share: of what is to be learnt, from 0, as guessing, to 1; below 0 it is worse.
        error: standard error of that.
        figure: one of the task's own in words, such as `mae 4.1`.
    """

    share: float
    error: float
    figure: str


def guessing_words(loss: str) -> str:
    """What answering without a look at the image is, for a loss of that name."""
    return "always giving the mean" if loss == "mse" else "guessing"


def share_words(loss: float, chance: float, *, of: str) -> str:
    """How much of the squared error of guessing is gone; of other losses nothing is said."""
    if of != "mse" or not math.isfinite(loss) or not chance > 0:
        return ""
    return f", so {max(0.0, 1 - loss / chance):.0%} of the variance is explained (R2)"


def explained(net: nn.Module, batch: Batch, *, criterion: Criterion, task: Task) -> Explained:
    """Judge a network, in the modes that its modules are in.

    Args:
        net: it is not changed.
        batch: images with their targets.
        criterion: the plain loss.
        task: for its own figure.
    """
    parts = zip(*(torch.split(each, CHUNK) for each in batch), strict=True)
    outputs, targets = logits_of(net, [Batch(*part) for part in parts])
    result = _result(task, outputs, targets, criterion)
    figure = task.headline[0]
    value = result.figures[figure]
    said = f"{figure} {task.text(figure, value)}"
    if targets.ndim == 1:  # vectors that are to be near for images of one class
        recall = result.figures["recall_at_1"] or 0.0
        shares = torch.bincount(targets).double() / len(targets)
        chance = float(shares.square().sum())
        if chance >= 1:
            return Explained(0.0, math.inf, said)
        error = math.sqrt(max(recall * (1 - recall), 0.01) / len(targets)) / (1 - chance)
        return Explained((recall - chance) / (1 - chance), error, said)
    chance = chance_loss(criterion, targets, classes=0, outputs=outputs.shape[1:])
    if not chance > 0:
        return Explained(0.0, math.inf, said)
    losses = torch.stack([
        criterion(one[None], other[None]) for one, other in zip(outputs, targets, strict=True)
    ])  # fmt: skip
    error = float(losses.std()) / math.sqrt(len(losses)) / chance
    return Explained(1 - float(losses.mean()) / chance, error, said)


@torch.no_grad()
def _result(task: Task, outputs: Tensor, targets: Tensor, criterion: Criterion) -> Result:
    sums = task.sums(outputs)
    loss, weight = criterion(outputs, targets), criterion.weight(targets)
    sums.add(outputs, targets, loss=loss, weight=weight)
    return sums.compute()
