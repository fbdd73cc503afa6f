"""`cnntrain predict`: what a trained network takes images for."""

from __future__ import annotations

import io
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cnntrain.cli import output
from cnntrain.cli.evaluate import Crops, Scales, read_scales
from cnntrain.cli.options import Json, Overrides, Plugins, Trained, opened
from cnntrain.core.errors import UsageError
from cnntrain.show.tables import columns, write_csv

if TYPE_CHECKING:
    from cnntrain.data.left_out import LeftOut
    from cnntrain.model.evaluate import Evaluated
    from cnntrain.model.predict import Prediction
    from cnntrain.tasks.rejection import Rejection

NONE = "none of these"

Committee = Annotated[
    list[Path] | None,
    typer.Option(
        "--with", metavar="RUN", help="Average the softmax with this run's, too. Repeatable."
    ),
]
Reject = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        help='Answer "none of these" below a probability that at most this share of the right '
        "validation images does not reach. Those are classified first.",
    ),
]


def predict(  # noqa: PLR0913  # the flags of the command
    run: Trained,
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Image files, or folders of them.")
    ],
    top: Annotated[int, typer.Option(min=1, help="Number of top classes to report per image.")] = 3,
    form: Annotated[
        Literal["table", "csv"] | None,
        typer.Option("--format", help="Default: table; see also --json."),
    ] = None,
    as_json: Json = False,
    committee: Committee = None,
    reject: Reject = None,
    crops: Crops = "center",
    scales: Scales = None,
    overrides: Overrides = None,
    plugins: Plugins = None,
) -> None:
    """Classify image files, prepared as evaluation prepares them.

    Exit code 3 if a file cannot be read; the others are classified all the same. Files in folders
    that are not taken (other formats and suffixes) are listed on stderr.
    """
    if as_json and form is not None:
        raise UsageError(f"--json and --format {form} contradict each other", remedy="give one")
    if reject is not None and not 0 <= reject < 1:
        message = f"--reject {reject} is not a share from 0 up to 1"
        raise UsageError(message, remedy="such as 0.05")
    sides = read_scales(scales, crops=crops)
    from cnntrain.model.ensemble import Ensemble
    from cnntrain.model.inputs import left_out
    from cnntrain.model.opening import EVALUATE, PREDICT

    models = [
        opened(
            each,
            overrides=overrides,
            plugins=plugins,
            use=PREDICT if reject is None else EVALUATE,
        )
        for each in (run, *(committee or []))
    ]
    network = Ensemble(models)
    rule = None
    if reject is not None:
        rule = _rule(network.evaluate("validation", crops=crops, scales=sides), reject)
    found = network.predict(paths, top=top, crops=crops, scales=sides)
    others = left_out(paths)
    if as_json:
        _json(found, others, rule)
    else:
        (_csv if form == "csv" else _table)(found, rule)
    bad = [prediction for prediction in found if prediction.error]
    for prediction in bad:
        output.note(f"error: {prediction.name}: {prediction.error}")
    if bad:
        raise typer.Exit(3)


def _rule(evaluated: Evaluated, share: float) -> Rejection:
    """The threshold, chosen on the validation images and said on stderr."""
    from cnntrain.tasks.rejection import choose_threshold

    if evaluated.answers is None:
        raise UsageError("--reject needs probabilities of classes", remedy="leave it out")
    rule = choose_threshold(evaluated.answers, share)
    output.note(
        f"note: none of these below a probability of {rule.threshold:.4f}: so are "
        f"{rule.right_rejected:,} of the {rule.right:,} validation images that are right, and "
        f"{rule.wrong_rejected:,} of the {rule.wrong:,} that are wrong"
    )
    return rule


def _is_none(prediction: Prediction, rule: Rejection | None) -> bool:
    """Whether the answer is "none of these"."""
    probability = prediction.probability
    return rule is not None and probability is not None and probability < rule.threshold


def _table(found: list[Prediction], rule: Rejection | None) -> None:
    none = {True: [NONE], False: [""]} if rule is not None else {False: []}
    rows = [
        [
            p.name,
            *none[_is_none(p, rule)],
            *(f"{name} {probability:.2%}" for name, probability in p.ranking),
        ]
        for p in found
        if p.ranking
    ]
    if rows:
        output.result(columns(rows))


def _json(found: list[Prediction], others: tuple[LeftOut, ...], rule: Rejection | None) -> None:
    from cnntrain.data.left_out import plain

    output.result_json(
        {
            "predictions": [
                {
                    "file": p.name,
                    "class": None if _is_none(p, rule) else p.label,
                    **({} if rule is None else {"rejected": _is_none(p, rule)}),
                    "probabilities": [{"class": n, "probability": v} for n, v in p.ranking],
                    "error": p.error or None,
                }
                for p in found
            ],
            **({} if rule is None else {"reject": asdict(rule)}),
            "left_out": plain(others),
        }
    )


def _csv(found: list[Prediction], rule: Rejection | None) -> None:
    text = io.StringIO()
    count = max((len(p.ranking) for p in found), default=0)
    head = [f"{what}{i + 1}" for i in range(count) for what in ("class", "probability")]
    rows = [["file", *head, "error", *(["rejected"] if rule is not None else [])]]
    for p in found:
        cells = [cell for name, value in p.ranking for cell in (name, f"{value:.6f}")]
        rest = [""] * (2 * (count - len(p.ranking)))
        none = [] if rule is None else ["yes" if _is_none(p, rule) else "no"]
        rows.append([p.name, *cells, *rest, p.error, *none])
    write_csv(rows, text)
    output.result(text.getvalue().rstrip("\n"))
