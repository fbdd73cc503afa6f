"""`cnntrain eval A B --compare`: two networks on the same images, in words and as data."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cnntrain.show.tables import columns
from cnntrain.show.words import counted

if TYPE_CHECKING:
    from cnntrain.model.evaluate import Evaluated
    from cnntrain.model.paired import Paired


def as_text(paired: Paired) -> str:
    """A row for each, the images by who is right, the difference and the test."""
    first, second = paired.first, paired.second
    summaries = [each.task.summary(each.metrics) for each in (first, second)]
    rows = [["network", *summaries[0]]]
    for each, summary in zip((first, second), summaries, strict=True):
        rows.append([str(each.model.path), *summary.values()])
    interval = paired.interval
    return "\n".join(
        (
            f"2 networks on {first.metrics.images:,} {first.split} images",
            columns(rows, right=range(1, 4)),
            f"right in both {paired.both:,}, only in the first {paired.only_first:,}, only in the "
            f"second {paired.only_second:,}, in neither {paired.neither:,}",
            f"difference of top-1 (first minus second): {100 * paired.difference:+.2f} points, "
            f"{100 * interval.low:+.2f} to {100 * interval.high:+.2f} with 95 % confidence "
            f"({interval.method})",
            f"McNemar's exact test: p = {paired.p_value:.3g} (how often two equally good networks "
            "differ at least so much, if they disagree on "
            f"{counted(paired.only_first + paired.only_second, 'image')})",
        )
    )


def as_data(paired: Paired) -> dict[str, Any]:
    """The same as JSON takes it."""
    return {
        "networks": [_network(each) for each in (paired.first, paired.second)],
        "split": paired.first.split,
        "images": paired.first.metrics.images,
        "both_right": paired.both,
        "only_first_right": paired.only_first,
        "only_second_right": paired.only_second,
        "neither_right": paired.neither,
        "difference": paired.difference,
        "difference_interval": {**asdict(paired.interval), "confidence": 0.95},
        "mcnemar_p": paired.p_value,
    }


def _network(evaluated: Evaluated) -> dict[str, Any]:
    model = evaluated.model
    return {
        "checkpoint": str(model.path),
        "epoch": model.epoch,
        "selected_the_weights": evaluated.selected,
        **evaluated.task.data(evaluated.metrics),
    }
