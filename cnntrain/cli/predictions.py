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
    rows = []
    for prediction in found:
        if prediction.answer is not None:
            none = {} if rule is None else {"answer": NONE if is_none(prediction, rule) else ""}
            rows.append({"file": prediction.name, **none, **prediction.answer.cells()})
    if not rows:
        return ""
    head = list(dict.fromkeys(key for row in rows for key in row))
    return columns([head, *([row.get(key, "") for key in head] for row in rows)])


def as_data(
    found: Sequence[Prediction], others: Sequence[LeftOut], rule: Rejection | None
) -> dict[str, Any]:
    """All of it as plain data, for `--json`."""
    from cnntrain.data.left_out import plain

    kinds = [p.answer.data() for p in found if p.answer is not None]
    form = kinds[0] if kinds else {"class": None, "probabilities": []}
    nothing: dict[str, Any] = {k: [] if isinstance(v, list) else None for k, v in form.items()}
    return {
        "predictions": [
            {
                "file": p.name,
                **(nothing if p.answer is None else p.answer.data()),
                **({} if rule is None else {"rejected": is_none(p, rule)}),
                **({"class": None} if is_none(p, rule) else {}),
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
    values = [{} if p.answer is None else p.answer.values() for p in found]
    head = list(dict.fromkeys(key for each in values for key in each))
    rows = [["file", *head, "error", *(["rejected"] if rule is not None else [])]]
    for p, own in zip(found, values, strict=True):
        none = [] if rule is None else ["yes" if is_none(p, rule) else "no"]
        rows.append([p.name, *(own.get(key, "") for key in head), p.error, *none])
    write_csv(rows, text)
    return text.getvalue().rstrip("\n")
