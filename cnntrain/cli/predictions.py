"""What images are taken for, as `cnntrain predict` prints it: a table, JSON, CSV."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cnntrain.show.tables import columns, write_csv

if TYPE_CHECKING:
    from cnntrain.data.left_out import LeftOut
    from cnntrain.model.predict import Prediction
    from cnntrain.tasks.rejection import Rejection

NONE = "none of these"


def is_none(prediction: Prediction, rule: Rejection | None) -> bool:
    """Whether the answer is "none of these"."""
    probability = prediction.probability
    return rule is not None and probability is not None and probability < rule.threshold


def as_table(found: Sequence[Prediction], rule: Rejection | None) -> str:
    """A row for each image that can be read; empty where there is none."""
    none = {True: [NONE], False: [""]} if rule is not None else {False: []}
    rows = [
        [
            p.name,
            *none[is_none(p, rule)],
            *(f"{name} {probability:.2%}" for name, probability in p.ranking),
        ]
        for p in found
        if p.ranking
    ]
    if not rows:
        return ""
    count = len(rows[0]) - 1 - len(none[False])
    answer = ["answer"] if rule is not None else []
    head = ["file", *answer, *(f"class {number}" for number in range(1, count + 1))]
    return columns([head, *rows])


def as_data(
    found: Sequence[Prediction], others: Sequence[LeftOut], rule: Rejection | None
) -> dict[str, Any]:
    """All of it as plain data, for `--json`."""
    from cnntrain.data.left_out import plain

    return {
        "predictions": [
            {
                "file": p.name,
                "class": None if is_none(p, rule) else p.label,
                **({} if rule is None else {"rejected": is_none(p, rule)}),
                "probabilities": [{"class": n, "probability": v} for n, v in p.ranking],
                "error": p.error or None,
            }
            for p in found
        ],
        **({} if rule is None else {"reject": asdict(rule)}),
        "left_out": plain(others),
    }


def as_csv(found: Sequence[Prediction], rule: Rejection | None) -> str:
    """A row for each image, also for those that cannot be read."""
    text = io.StringIO()
    count = max((len(p.ranking) for p in found), default=0)
    head = [f"{what}{i + 1}" for i in range(count) for what in ("class", "probability")]
    rows = [["file", *head, "error", *(["rejected"] if rule is not None else [])]]
    for p in found:
        cells = [cell for name, value in p.ranking for cell in (name, f"{value:.6f}")]
        rest = [""] * (2 * (count - len(p.ranking)))
        none = [] if rule is None else ["yes" if is_none(p, rule) else "no"]
        rows.append([p.name, *cells, *rest, p.error, *none])
    write_csv(rows, text)
    return text.getvalue().rstrip("\n")
