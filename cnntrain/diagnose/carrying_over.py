"""What carries over to other images where what is learnt are not classes: see `generalisation`."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

from torch import Tensor, nn

from cnntrain.data.batch import Batch
from cnntrain.diagnose.explained import Explained, explained
from cnntrain.diagnose.faults import EXPLAINS
from cnntrain.diagnose.report import Finding, Report, not_applicable
from cnntrain.diagnose.variants import Trial
from cnntrain.tasks.protocol import Task

PASSES = 3.0
"""Times that a short training must see each image for a difference to show."""

LEAST = 12
"""Images of the other split, for it to be judged."""

LEARNT, NOTHING = 0.5, 0.05
"""Share of what is to be learnt that must be explained of training images for a short training to
be judged; and up to which a run has learnt nothing."""

GAP, SURE = 0.25, 4.0
"""How much less of other images is explained where it does not carry over: so much, and so many
standard errors."""

STEEP = 1.4
"""What is not explained with half of the images must be this many times that with all of them."""

MORE = (
    "take more images, or augmentation that leaves what is to be learnt as it is; else more weight "
    "decay, `early_stop`, or a smaller network"
)


def judge_carrying_over(  # what the check has been given
    own: Trial,
    *,
    trained: nn.Module | None,
    batch: Batch,
    held_out: Batch | None,
    task: Task,
    train_images: int,
    steps: int,
    seed: int,
) -> Report:
    """Compare what is explained of training images and of others.

    Args:
        own: a training as the run file says.
        trained: a run's network; None for a run file, which is trained for a while.
        batch: training images, as evaluation prepares them.
        held_out: images of the split that measures.
        task: what is learnt.
        train_images: how many there are.
        steps: of each training.
        seed: of its random numbers.
    """
    passes = steps * len(own.batches[0].targets) / train_images
    why = unjudged_because(
        batch.images, None if held_out is None else held_out.images,
        passes=passes if trained is None else math.inf,
    )  # fmt: skip
    if why or held_out is None:
        return _not(why)
    criterion = own.method.criterion.plain()

    def judged(net: nn.Module, images: Batch) -> Explained:
        return explained(net, images, criterion=criterion, task=task)

    net = own.trained(steps, seed=seed) if trained is None else copy.deepcopy(trained).eval()
    ours, theirs = judged(net, batch), judged(net, held_out)
    if not (math.isfinite(ours.share) and math.isfinite(theirs.share)):
        return _not("the loss is not finite")
    seen = (
        f"of what is to be learnt {_share(ours)} is explained for training images ({ours.figure}), "
        f"{_share(theirs)} for others ({theirs.figure}); always giving the same answer explains 0%"
    )
    if trained is None:
        seen = f"after {steps} steps {seen}"
    margin = max(GAP, SURE * (ours.error + theirs.error))
    finding = None
    if ours.share >= LEARNT and ours.share - theirs.share > margin:
        half = None
        in_epoch = train_images // len(own.batches[0].targets)
        if 2 <= in_epoch <= len(own.batches):
            less = replace(own, batches=own.batches[: in_epoch // 2]).trained(steps, seed=seed)
            half = judged(less, held_out)
        finding = _gap(theirs, half, seen, train_images=train_images)
    elif trained is not None and theirs.share < NOTHING and ours.share < LEARNT:
        finding = _nothing(seen)
    is_judged = finding is not None or trained is not None or ours.share >= LEARNT
    if not is_judged:
        seen += ": too little to see whether it carries over; diagnose the run when it has trained"
    return Report(
        "generalisation",
        seen if finding is None else finding.headline,
        () if finding is None else (finding,),
        numbers={"training": ours.share, "other": theirs.share},
        applies=is_judged,
    )


def unjudged_because(ours: Tensor, theirs: Tensor | None, *, passes: float) -> str:
    """Why nothing can be said; empty where something can.

    Args:
        ours: training images.
        theirs: those of the split that measures.
        passes: times that each image is seen in a training.
    """
    if theirs is None or len(theirs) < LEAST:
        return "there are too few other images to be compared with"
    if not (ours.isfinite().all() and theirs.isfinite().all()):
        return "the images are not finite"
    if passes < PASSES:
        return (
            f"in a short training each image is seen {passes:.1f} times: too few to memorise them; "
            "diagnose the run when it has trained"
        )
    return ""


def _not(why: str) -> Report:
    return not_applicable("generalisation", why)


def _share(found: Explained) -> str:
    return f"{max(0.0, found.share):.0%}"


def _gap(theirs: Explained, half: Explained | None, seen: str, *, train_images: int) -> Finding:
    """What is known of training images and not of others; `half` is with half of the images."""
    left = 1 - max(0.0, theirs.share)
    if half is not None:
        seen += f"; with half of the training images {_share(half)}"
    if half is not None and half.share > 0 and 1 - half.share > STEEP * left:
        return Finding(
            "too_few_images",
            f"{train_images} training images are too few to learn what others look like",
            seen,
            MORE,
            follows=("splits_differ", "labels_shifted", "labels_noisy"),
        )
    return Finding(
        "does_not_generalise",
        f"what is learnt does not carry over: {_share(theirs)} of it is explained for other images",
        seen,
        f"look whether both splits are of one kind (`--check splits`); then {MORE}",
        follows=("splits_differ", "labels_shifted", "labels_noisy", "stale_batch_norm"),
    )


def _nothing(seen: str) -> Finding:
    return Finding(
        "no_progress",
        "the run does no better than giving the same answer for every image",
        seen,
        "look at the other findings, and at the rate: `--check rate`",
        follows=EXPLAINS,
    )
