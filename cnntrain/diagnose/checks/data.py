"""Check `data`: do the images and their labels belong together, and can a network read them?

What is said of the labels rests on nearest neighbours among the pixels themselves, so on nothing
that was learnt; where neighbours say nothing, as on small photographs, no label is accused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from cnntrain.diagnose import check
from cnntrain.diagnose.drawing import bars_by_layer, doubtful_images
from cnntrain.diagnose.meaningless import meaningless
from cnntrain.diagnose.neighbours import (
    FEW_VALUES,
    TELLING,
    Sample,
    Votes,
    leaks,
    suspicious_labels,
    votes_of,
)
from cnntrain.diagnose.report import Finding, Plot, Report, Table
from cnntrain.show.words import listed

FAR = 0.8
"""Distance of the mean images of two splits, in deviations from image to image."""

SCALE = (0.05, 5.0)
"""Deviation of the pixels that a network reads well."""

OFF_CENTRE = 3.0
"""Mean of the pixels, in their deviations."""

LISTED = 50
"""Images by name whose labels are doubtful, at the most."""

UNEVEN = 20.0
"""Times the images of the smallest class."""

REPEATED = 0.05
"""Share of the images that are one and the same picture, with labels of several classes."""


@check("data", place=1)
def check_data(
    *,
    train: Sample,
    other: Sample | None,
    class_names: Sequence[str],
    counts: Mapping[str, Sequence[int]],
    shared: Mapping[str, Sequence[tuple[str, str]]],
    is_weighted: bool,
    unseen: Sequence[str] = (),
) -> Report:
    """Look at the images and labels themselves, with no network.

    Args:
        train: of the training images, some hundred or thousand.
        other: of the validation or test images.
        class_names: of the classes.
        counts: images per class of each split.
        shared: of each other split, the images that training has too.
        is_weighted: whether the run makes up for uneven classes.
        unseen: classes that are not to train.
    """
    if train.targets.ndim > 1:
        return _without_classes(train, other, counts=counts, shared=shared)
    own = votes_of(train, train)
    labels = tuple(suspicious_labels(train, own, class_names))
    nothing = None if labels else meaningless(train, own, class_names)
    findings = (
        *_not_finite(train),
        *_one_picture(train),
        *_missing(class_names, counts, unseen),
        *labels,
        *((nothing,) if isinstance(nothing, Finding) else ()),
        *leaks(train, other, counts=counts, shared=shared),
        *_unlike(train, other),
        *_values(train),
        *(() if is_weighted else _uneven(class_names, counts)),
    )
    agreement = own.agreement(train.targets)
    headline = (
        f"{sum(counts['train']):,} training images of {len(class_names)} classes; of "
        f"{len(own.winner)} looked at, {agreement:.0%} have the label of their nearest neighbours"
    )
    is_unjudged = isinstance(nothing, str)
    if is_unjudged:
        headline = f"whether the labels fit the images could not be judged: {nothing}"
    mean, deviation = _channel_statistics(train.images)
    rows = tuple(zip(class_names, *counts.values(), strict=True))
    odd = _contradicted(train, own)
    return Report(
        "data",
        findings[0].headline if findings else headline,
        findings,
        numbers={
            "agreement": agreement,
            "contradicted": float(own.contradicts(train.targets).float().mean()),
            "mean": float(mean.mean()),
            "deviation": float(deviation.mean()),
            "shared_images": sum(len(found) for found in shared.values()),
        },
        tables=(
            Table("images by class", ("class", *counts), rows),
            *((_to_look_at(train, own, odd, class_names),) if len(odd) and train.names else ()),
        ),
        pictures=_pictures(train, own, odd, class_names, counts["train"]),
        applies=bool(findings) or not is_unjudged,
    )


def _without_classes(
    train: Sample,
    other: Sample | None,
    *,
    counts: Mapping[str, Sequence[int]],
    shared: Mapping[str, Sequence[tuple[str, str]]],
) -> Report:
    """What can be said where no label is a class: of the images alone."""
    findings = (
        *_not_finite(train),
        *leaks(train, other, counts=counts, shared=shared),
        *_unlike(train, other),
        *_values(train),
    )
    mean, deviation = _channel_statistics(train.images)
    headline = (
        f"{sum(counts['train']):,} training images; whether what is learnt fits them is not judged "
        "for this task"
    )
    return Report(
        "data",
        findings[0].headline if findings else headline,
        findings,
        numbers={
            "mean": float(mean.mean()),
            "deviation": float(deviation.mean()),
            "shared_images": sum(len(found) for found in shared.values()),
        },
    )


def _contradicted(train: Sample, own: Votes) -> Tensor:
    """Places of the images whose neighbours surely have another label, the surest first."""
    odd = own.contradicts(train.targets) & (own.kappa(train.targets) >= TELLING)
    return own.share.where(odd, -1.0).argsort(descending=True, stable=True)[: int(odd.sum())]


def _to_look_at(train: Sample, own: Votes, odd: Tensor, classes: Sequence[str]) -> Table:
    """What they are called, so that their labels can be corrected."""
    rows = tuple(
        (train.names[at], classes[int(train.targets[at])], classes[int(own.winner[at])])
        for at in odd[:LISTED].tolist()
    )
    title = "training images whose neighbours have another label, the surest first"
    return Table(title, ("image", "label", "their label"), rows)


def _pictures(
    train: Sample, own: Votes, odd: Tensor, classes: Sequence[str], counts: Sequence[int]
) -> tuple[Plot, ...]:
    bars = bars_by_layer(list(zip(classes, counts, strict=True)), label="images", is_log=False)
    by_class = Plot("training images by class", bars)
    if not len(odd):
        return (by_class,)
    title = "images whose neighbours have another label (label, and theirs), the surest first"
    doubtful = train.images[odd], train.targets[odd], own.winner[odd]
    return by_class, Plot(title, doubtful_images(*doubtful, classes))


def _not_finite(train: Sample) -> Iterator[Finding]:
    bad = int((~train.images.isfinite().flatten(1).all(dim=1)).sum())
    if bad:
        yield Finding(
            "not_finite",
            f"{bad:,} of {len(train.images):,} training images hold values that are not finite",
            "after the transforms of evaluation",
            "look at the transforms: normalize with a std of 0?",
        )


def _one_picture(train: Sample) -> Iterator[Finding]:
    """A picture that stands for images which could not be had, or an empty one."""
    values = train.images.flatten(1)
    pictures, which, times = torch.unique(values, dim=0, return_inverse=True, return_counts=True)
    most = int(times.argmax())
    labels = int(torch.bincount(train.targets[which == most]).count_nonzero())
    is_small = values.shape[1] <= FEW_VALUES
    if is_small or labels == 1 or times[most] < REPEATED * len(values):
        return
    is_empty = bool(pictures[most].max() == pictures[most].min())
    what = "are empty" if is_empty else "are one and the same picture"
    yield Finding(
        "same_picture",
        f"{int(times[most]):,} of {len(values):,} training images {what}",
        f"with labels of {labels} classes, so nothing can be learnt from them",
        "look at the files, and at how they were written: `cnntrain data check`; take them out",
    )


def _missing(
    classes: Sequence[str], counts: Mapping[str, Sequence[int]], unseen: Sequence[str]
) -> Iterator[Finding]:
    there = zip(classes, counts["train"], strict=True)
    empty = [name for name, count in there if count == 0 and name not in unseen]
    if empty:
        yield Finding(
            "class_missing",
            f"{listed(empty)} {'has' if len(empty) == 1 else 'have'} no training image",
            f"{len(empty)} of {len(classes)} classes; the network learns never to answer so",
            "add images of that class, or take it out of the class list",
        )


def _unlike(train: Sample, other: Sample | None) -> Iterator[Finding]:
    """Whether the images of another split are of another kind than those of training."""
    if other is None or not other.images.isfinite().all():
        return
    distance, what = max(_distances(train.images, other.images))
    if distance > FAR:
        yield Finding(
            "splits_differ",
            f"the {other.split} images are not like the training images",
            f"their {what} differs by {distance:.1f} deviations from image to image",
            f"prepare both alike: look at `data.transforms` and at the files of {other.split}",
            follows=("same_picture",),
        )


def _distances(ours: Tensor, theirs: Tensor) -> Iterator[tuple[float, str]]:
    """How far apart brightness, contrast and sharpness are, in deviations from image to image."""
    least = max(0.05 * float(ours.float().std()), 1e-6)
    a, b = (images.float().flatten(1) for images in (ours, theirs))
    for what, x, y in (
        ("brightness", a.mean(dim=1), b.mean(dim=1)),
        ("contrast", a.std(dim=1, correction=0), b.std(dim=1, correction=0)),
        ("sharpness", _sharpness(ours), _sharpness(theirs)),
    ):
        yield abs(float(x.mean() - y.mean())) / max(float(x.std(correction=0)), least), what


def _sharpness(images: Tensor) -> Tensor:
    """Of each image: the mean step from a pixel to the next one, in deviations of its pixels."""
    steps = images.float().diff(dim=-1).abs().flatten(1)
    deviation = images.float().flatten(1).std(dim=1, correction=0).clamp_min(1e-6)
    return steps.mean(dim=1) / deviation if steps.numel() else torch.zeros_like(deviation)


def _values(train: Sample) -> Iterator[Finding]:
    """Channels that say nothing, and pixels of a scale that hinders learning."""
    if not train.images.isfinite().all():
        return
    mean, deviation = _channel_statistics(train.images)
    centre, scale = float((mean.abs() / deviation).max()), float(deviation.mean())
    empty = [str(i) for i, value in enumerate(deviation.tolist()) if value < 1e-6]
    if empty:
        yield Finding(
            "constant_channel",
            f"channel {listed(empty)} of the images is the same everywhere",
            f"deviation 0 over {len(train.images):,} images, in {len(empty)} of {len(deviation)} "
            "channels, so the network sees nothing in it",
            "look at the files: was a channel lost when they were written?",
        )
    elif not SCALE[0] <= scale <= SCALE[1] or centre > OFF_CENTRE:
        yield Finding(
            "not_normalised",
            f"the network's input has mean {float(mean.mean()):.3g} and deviation {scale:.3g}; it "
            "should be near 0 and 1",
            "channel by channel: mean " + ", ".join(f"{v:.3g}" for v in mean.tolist()[:4]),
            "add `normalize` to both lists of `data.transforms`, without mean and std of its own",
        )


def _channel_statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    values = images.double().transpose(0, 1).flatten(1)
    return values.mean(dim=1), values.std(dim=1, correction=0)


def _uneven(classes: Sequence[str], counts: Mapping[str, Sequence[int]]) -> Iterator[Finding]:
    there = sorted((n, name) for n, name in zip(counts["train"], classes, strict=True) if n)
    if there and there[-1][0] >= UNEVEN * there[0][0]:
        (few, rare), (many, common) = there[0], there[-1]
        yield Finding(
            "uneven_classes",
            f"'{common}' has {many:,} training images, '{rare}' {few:,}",
            f"{many / few:.0f} times as many; a network that never answers '{rare}' is hardly ever "
            "wrong",
            "set data.sampling: balanced, or train.loss.class_weights: balanced",
        )
