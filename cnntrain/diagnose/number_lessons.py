"""Whether augmentation keeps what is learnt where it is no class: see the check `augmentation`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from cnntrain.core.seeding import derive_seed
from cnntrain.diagnose.numbers import NumberNet
from cnntrain.diagnose.report import Finding, Report, not_applicable
from cnntrain.diagnose.suspects import suspects_in, without, written
from cnntrain.diagnose.training_views import Steps, TrainingViews, is_random

KEPT, LEAST = 0.3, 40
"""Share of the images that no network learns, and how many there must be."""

TELLS = 0.3
"""R2 that a network must reach to judge anything."""

LOST, SURE = 0.1, 3.0
"""Augmentation spoils numbers if so much R2 is lost, and so many standard errors."""

EPOCHS, LONGER, FRESH = 4, 2, 1000
"""So often images are augmented; so many times as long a network is taught before augmentation is
accused; and the epoch whose random numbers prepare what was kept."""

REASONS = {
    "image": (
        "the target is made of the augmented image itself, so that augmentation moves both "
        "alike; only what corrupts (noise, erasing) changes the image alone, as it should"
    ),
    "several": "several things are learnt from each image: no small network learns them all",
}


def judge_augmented_numbers(
    views: TrainingViews | None, *, form: str, names: Sequence[str], seed: int
) -> Report:
    """Teach a small network plain images, and another one augmented ones, and compare them.

    Args:
        views: some of the training images, with numbers or labels; None for other targets.
        form: of the targets.
        names: of numbers or labels.
        seed: of the small networks.
    """
    if views is None:
        return _not(REASONS.get(form, "only a part of the network learns, or what it gives itself"))
    suspects = list(suspects_in(views.train_steps))
    if not suspects:
        return _not("training changes nothing at random")
    order = torch.randperm(
        len(views.targets), generator=torch.Generator().manual_seed(derive_seed(seed, "kept"))
    )
    kept, taught = order[: round(KEPT * len(order))], order[round(KEPT * len(order)) :]
    if len(kept) < LEAST:
        return _not("there are too few images to judge it")
    images, numbers = views.seen(views.eval_steps, among=kept, epochs=[FRESH]), views.targets[kept]

    def errors(steps: Steps, *, times: float = 1.0) -> Tensor:
        epochs = range(1, 1 + (EPOCHS if any(map(is_random, steps)) else 1))
        seen = views.seen(steps, among=taught, epochs=epochs)
        learnt = views.targets[taught].repeat(len(epochs), 1)
        return NumberNet.of(seen, learnt, seed=seed, times=times).errors(images, numbers)

    plain, augmented = errors(views.eval_steps), errors(views.train_steps)
    headline = (
        f"a small network that learns images as training prepares them explains {_r2(augmented)} "
        f"of the variance for others, one that learns them as evaluation does {_r2(plain)}"
    )
    if max(1 - float(plain.mean()), 1 - float(augmented.mean())) < TELLS:
        return _not(f"{headline}: too little to judge augmentation by it")
    finding = None
    if _is_worse(augmented, plain) and _is_worse(errors(views.train_steps, times=LONGER), plain):
        guilty = suspects[0]
        if len(suspects) > 1:  # the one that spoils most, alone
            alone = [without(views, [one for one in suspects if one != each]) for each in suspects]
            lost = [float(errors(steps).mean()) for steps in alone]
            guilty = suspects[lost.index(max(lost))]
        steps = without(views, [guilty])
        finding = Finding(
            "too_much_augmentation",
            f"`{guilty.what}` changes images, and not {_listed(names)} with them",
            headline,
            "take it out of data.transforms.train: numbers and points do not move with the pixels; "
            "a flip, a turn or a crop is right only where they stay what they were",
            overrides=(f"data.transforms.train={written(steps)}",),
        )
    return Report(
        "augmentation",
        headline if finding is None else finding.headline,
        () if finding is None else (finding,),
        numbers={"plain": 1 - float(plain.mean()), "augmented": 1 - float(augmented.mean())},
    )


def _not(why: str) -> Report:
    return not_applicable("augmentation", why)


def _r2(errors: Tensor) -> str:
    return f"{max(0.0, 1 - float(errors.mean())):.0%}"


def _is_worse(ours: Tensor, theirs: Tensor) -> bool:
    """Whether more is lost than by chance; errors of the same images."""
    more = ours - theirs
    error = float(more.std()) / math.sqrt(len(more))
    return float(more.mean()) > max(LOST, SURE * error)


def _listed(names: Sequence[str]) -> str:
    return " and ".join(f"'{name}'" for name in names) if len(names) < 4 else "the numbers"
