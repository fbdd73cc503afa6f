"""Whether a loss of classes rewards right answers, by its values and its slope, without a network.

What holds of every loss that classes are learnt with: it is a number, however sure an answer is;
it falls when the output of the right class rises above the others; and it does so for the images of
a batch, not for a few of them.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from cnntrain.diagnose.report import Finding
from cnntrain.tasks.criterion import Criterion

SURE = 30.0
"""By how much the output of a class is above all others where a network is sure."""

SPREAD = 0.1
"""Deviation of outputs that know nothing yet."""

FEW = 0.15
"""Share of the images that a loss must care for: one that takes the worst or the easiest of a batch
takes more."""

MOST = 0.75
"""Share of these for which it must fall when the right output rises."""

USUAL = ("train.loss={name: cross_entropy}",)


def wrong_loss(
    criterion: Criterion, targets: Tensor, *, classes: int, seed: int = 0
) -> Iterator[Finding]:
    """Ask a loss that takes scores.

    Args:
        criterion: without smoothing and weights.
        targets: class numbers of a batch `(N,)`.
        classes: how many there are.
        seed: of the scores of a network that knows nothing.
    """
    generator = torch.Generator().manual_seed(seed)
    random = SPREAD * torch.randn(len(targets), classes, generator=generator).to(targets.device)
    other = targets.roll(1)
    try:
        for answers in (targets, (targets + 1) % classes):
            sure = SURE * F.one_hot(answers, classes).float()
            if not _is_finite(criterion, sure, targets):
                yield _of(
                    "the loss, or its slope, is not a number where the network is sure of a class",
                    f"where the output of one class is {SURE:g} and all others are 0",
                    "compute it from the outputs themselves, with `log_softmax` or `logsigmoid`, "
                    "in float32",
                )
                return
        criterion(random, other)  # what remembers earlier labels now has others
        slope = _slope(criterion, random, targets)
    except RuntimeError:  # it has no slope, or wants other outputs
        return
    size = slope.abs().amax(dim=1)
    is_cared_for = size > 1e-3 * size.max()
    if is_cared_for.float().mean() < FEW:
        yield _of(
            "the loss has no slope for most images of a batch",
            f"at outputs near 0 it has one for {int(is_cared_for.sum())} of {len(targets)} images",
            "is it that of the first image alone, or are values clamped where answers are wrong?",
        )
        return
    right = slope.gather(1, targets[:, None])[:, 0]
    falls = (slope.sum(dim=1) - right) / (classes - 1) > right
    share = float(falls[is_cared_for].float().mean())
    if share < MOST:
        yield _of(
            "the loss does not fall when the output of the right class rises",
            f"at outputs near 0 it falls for {share:.0%} of the images; the others teach the wrong "
            "answer",
            "look at its sign, at how it numbers the classes, and whose labels it compares with",
        )


def _of(headline: str, evidence: str, look: str) -> Finding:
    remedy = f"{look}{'' if look.endswith('?') else '.'} Or take a usual one"
    return Finding("wrong_loss", headline, evidence, remedy, overrides=USUAL)


def _is_finite(criterion: Criterion, scores: Tensor, targets: Tensor) -> bool:
    slope = _slope(criterion, scores, targets)
    return bool(criterion(scores, targets).isfinite().all() and slope.isfinite().all())


def _slope(criterion: Criterion, scores: Tensor, targets: Tensor) -> Tensor:
    with torch.enable_grad():
        asked = scores.clone().requires_grad_(True)
        (slope,) = torch.autograd.grad(criterion(asked, targets).sum(), asked)
    return slope
