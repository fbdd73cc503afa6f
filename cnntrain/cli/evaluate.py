"""`cnntrain eval`: how well a trained network does on a split of its data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cnntrain.cli import output
from cnntrain.cli.options import Json, Overrides, Run
from cnntrain.core.errors import UsageError

if TYPE_CHECKING:
    from cnntrain.run.evaluate import Evaluated

SHOWN_CLASSES = 20
"""The confusion table is printed up to this many classes; the picture and --json have all."""


def evaluate(
    run: Run,
    split: Annotated[
        Literal["train", "validation", "test"] | None,
        typer.Option(help="Default: test if there is one, else validation."),
    ] = None,
    overrides: Overrides = None,
    confusion: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Draw the confusion matrix into this file.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Evaluate a checkpoint. Tells loss, top-1, top-5, scores per class, confusion matrix."""
    if confusion is not None and not confusion.parent.is_dir():
        raise UsageError(f"there is no folder {confusion.parent}", remedy="make it first")
    from cnntrain.run.evaluate import evaluate_run

    evaluated = evaluate_run(run, split=split, overrides=overrides or [])
    if confusion is not None:
        from cnntrain.record.confusion import draw_confusion

        draw_confusion(
            evaluated.metrics.confusion, classes=evaluated.trained.classes, path=confusion
        )
        output.note(f"confusion matrix: {confusion}")
    if as_json:
        output.result_json(_as_data(evaluated))
    else:
        output.result(_as_text(evaluated))


def _as_text(evaluated: Evaluated) -> str:
    from cnntrain.metrics import class_scores, mean_score

    metrics, trained = evaluated.metrics, evaluated.trained
    top5 = "" if metrics.top5 is None else f"  top-5 {metrics.top5:.2%}"
    lines = [
        f"{trained.path} (epoch {trained.epoch}) on {metrics.images:,} {evaluated.split} images",
        f"top-1 {metrics.top1:.2%}{top5}  error {metrics.error:.2%}  loss {metrics.loss:.4f}  "
        f"({metrics.correct:,} of {metrics.images:,} right)",
        "",
    ]
    scores = class_scores(metrics.confusion)
    rows = [["class", "images", "precision", "recall", "F1"]]
    named = zip((*trained.classes, "mean"), (*scores, mean_score(scores)), strict=True)
    for name, score in named:
        ratios = (f"{value:.2%}" for value in (score.precision, score.recall, score.f1))
        rows.append([name, f"{score.images:,}", *ratios])
    lines.append(output.columns(rows, right=range(1, 5)))
    if len(trained.classes) <= SHOWN_CLASSES:
        lines += ["", "confusion (rows: true class, columns: predicted)"]
        table = [["", *trained.classes]]
        counts = zip(trained.classes, metrics.confusion, strict=True)
        table += [[name, *(str(count) if count else "." for count in row)] for name, row in counts]
        lines.append(output.columns(table, right=range(1, len(trained.classes) + 1)))
    return "\n".join(lines)


def _as_data(evaluated: Evaluated) -> dict[str, Any]:
    from cnntrain.metrics import class_scores

    metrics, trained = evaluated.metrics, evaluated.trained
    scores = zip(trained.classes, class_scores(metrics.confusion), strict=True)
    return {
        "checkpoint": str(trained.path),
        "epoch": trained.epoch,
        "split": evaluated.split,
        "images": metrics.images,
        "correct": metrics.correct,
        "loss": metrics.loss,
        "top1": metrics.top1,
        "top5": metrics.top5,
        "error": metrics.error,
        "classes": [
            {
                "name": name,
                "images": score.images,
                "precision": score.precision,
                "recall": score.recall,
                "f1": score.f1,
            }
            for name, score in scores
        ],
        "confusion": [list(row) for row in metrics.confusion],
    }
