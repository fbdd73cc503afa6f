"""Check `data`: do the images and their labels belong together, and can a network read them?

What is said of the labels rests on nearest neighbours among the pixels themselves, so on nothing
that was learnt; where neighbours say nothing, as on small photographs, no label is accused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from torch import Tensor

from cnntrain.diagnose import check
from cnntrain.diagnose.drawing import bars_by_layer, doubtful_images
from cnntrain.diagnose.image_values import channel_statistics, not_finite, unlike, value_findings
from cnntrain.diagnose.meaningless import meaningless
from cnntrain.diagnose.neighbours import (
    NEIGHBOURS,
    TELLING,
    Sample,
    Votes,
    leaks,
    suspicious_labels,
    votes_of,
)
from cnntrain.diagnose.numbers import TELLING as TELLING_NUMBERS
from cnntrain.diagnose.numbers import neighbours_explain, number_findings
from cnntrain.diagnose.pixel_order import misread
from cnntrain.diagnose.repeats import labelled_twice, same_pictures
from cnntrain.diagnose.report import Finding, Plot, Report, Table
from cnntrain.show.words import listed
from cnntrain.tasks.classification import CLASSIFICATION
from cnntrain.tasks.protocol import Task

LISTED = 50
"""Images by name whose labels are doubtful, at the most."""

UNEVEN = 20.0
"""Times the images of the smallest class."""


@check("data", place=1)
def check_data(  # noqa: PLR0913  # what a check may ask for
    *,
    train: Sample,
    other: Sample | None,
    class_names: Sequence[str],
    counts: Mapping[str, Sequence[int]],
    shared: Mapping[str, Sequence[tuple[str, str]]],
    is_weighted: bool,
    doubled: Sequence[tuple[str, str]] = (),
    unseen: Sequence[str] = (),
    form: str = "",
    task: Task = CLASSIFICATION,
) -> Report:
    """Look at the images and labels themselves, with no network.

    Args:
        train: of the training images, some hundred or thousand.
        other: of the validation or test images.
        class_names: of the classes.
        counts: images per class of each split.
        shared: of each other split, the images that training has too.
        is_weighted: whether the run makes up for uneven classes.
        doubled: training images that are there again with another label, and the first ones.
        unseen: classes that are not to train.
        form: of the targets.
        task: what is learnt.
    """
    if train.targets.ndim > 1:
        numbers = number_findings(train, names=class_names, task=task) if form == "numbers" else ()
        found = tuple(numbers)
        return _without_classes(train, other, found, counts=counts, shared=shared, form=form)
    own = votes_of(train, train)
    labels = tuple(suspicious_labels(train, own, class_names))
    nothing = None if labels else meaningless(train, own, class_names)
    kappa = own.kappa(train.targets)
    findings = (
        *not_finite(train),
        *same_pictures(train, class_names, kappa),
        *misread(train, kappa),
        *_missing(class_names, counts, unseen),
        *labelled_twice(doubled, images=sum(counts["train"])),
        *labels,
        *((nothing,) if isinstance(nothing, Finding) else ()),
        *leaks(train, other, counts=counts, shared=shared),
        *unlike(train, other),
        *value_findings(train),
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
    mean, deviation = channel_statistics(train.images)
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
    odd: Sequence[Finding],
    *,
    counts: Mapping[str, Sequence[int]],
    shared: Mapping[str, Sequence[tuple[str, str]]],
    form: str,
) -> Report:
    """What can be said where no label is a class: of the images, and what is `odd` in numbers."""
    findings = (
        *not_finite(train),
        *misread(train, kappa=1.0),
        *odd,
        *leaks(train, other, counts=counts, shared=shared),
        *unlike(train, other),
        *value_findings(train),
    )
    mean, deviation = channel_statistics(train.images)
    headline = f"{counts['train'][0]:,} training images"
    unjudged: tuple[str, ...] = ()
    if form == "numbers":
        known = neighbours_explain(train.images, train.targets)
        headline += f"; {NEIGHBOURS} nearest neighbours explain {max(0.0, known):.0%} of the "
        headline += "variance of their numbers"
        if known < TELLING_NUMBERS:
            unjudged = (f"whether numbers and images belong together: {headline}, too little",)
    elif form != "image":
        what = {"labels": "labels fit their images"}.get(form, "what is learnt fits its images")
        unjudged = (f"whether {what}: neighbours are compared for classes and numbers only",)
    return Report(
        "data",
        findings[0].headline if findings else headline,
        findings,
        numbers={
            "mean": float(mean.mean()),
            "deviation": float(deviation.mean()),
            "shared_images": sum(len(found) for found in shared.values()),
        },
        unjudged=unjudged,
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
            follows=("labels_shifted",),
        )


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
