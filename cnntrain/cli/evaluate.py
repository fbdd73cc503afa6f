"""`cnntrain eval`: how well trained networks do on a split of their data."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cnntrain.cli import output
from cnntrain.cli.options import TRAINED, Json, Overrides, Plugins, SplitName, opened
from cnntrain.core.atomic import write_output
from cnntrain.core.errors import UsageError
from cnntrain.show.tables import columns, write_csv
from cnntrain.show.words import counted

if TYPE_CHECKING:
    from cnntrain.model.evaluate import Evaluated
    from cnntrain.model.model import Model

OPTIMISTIC = "these images selected the epoch, so the error on others is likely to be larger"

SEEN = "these are the training images, so the error on others is likely to be larger"

MIRRORED = (
    "half of the views are mirror images, which the network has not seen in training (it has no "
    "horizontal_flip)"
)

Crops = Annotated[
    Literal["center", "ten", "144", "dense"],
    typer.Option(
        help="Views of each image whose softmax is averaged: ten (corners and centre, mirrored: "
        "AlexNet), 144 (GoogLeNet), dense (the network slid over the whole image: VGG)."
    ),
]
Scales = Annotated[
    str | None,
    typer.Option(
        metavar="256,384,512",
        help="For --crops dense: lengths of the shorter side. Default: as the images are resized.",
    ),
]

Confusion = Annotated[
    Path | None,
    typer.Option(
        metavar="PNG", help="Draw the confusion matrix, or what the task has, into this file."
    ),
]
Mistakes = Annotated[
    Path | None,
    typer.Option(metavar="CSV", help="List the images that are wrong, the most confident first."),
]
Compare = Annotated[
    bool,
    typer.Option(
        "--compare", help="Of two runs: how sure it is that one is better (McNemar's test)."
    ),
]


def evaluate(  # noqa: PLR0913  # the flags of the command
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...", help=f"{TRAINED} Of several the softmax is averaged (a committee)."
        ),
    ],
    split: SplitName = None,
    crops: Crops = "center",
    scales: Scales = None,
    overrides: Overrides = None,
    plugins: Plugins = None,
    confusion: Confusion = None,
    mistakes: Mistakes = None,
    compare: Compare = False,
    as_json: Json = False,
) -> None:
    """Evaluate a network. Reports how good it is in all, per class, and how sure that is.

    Loss, top-1 with a confidence interval, top-5, balanced accuracy, areas under the ROC and the
    precision-recall curve, calibration, scores per class, confusion matrix.
    """
    if compare:
        _refuse_with_compare(runs, {"--confusion": confusion, "--mistakes": mistakes})
    for file in (confusion, mistakes):
        if file is not None:
            output.refuse_no_folder(file)
    sides = read_scales(scales, crops=crops)
    from cnntrain.model.ensemble import Ensemble

    models = [opened(run, overrides=overrides, plugins=plugins) for run in runs]
    if compare:
        _compare(models, as_json, split=split, crops=crops, scales=sides)
        return
    evaluated = Ensemble(models).evaluate(split, crops=crops, scales=sides)
    if confusion is not None:
        _draw(evaluated, confusion)
    if mistakes is not None:
        _write_mistakes(evaluated, mistakes)
    _say_notes([evaluated])
    output.answer(evaluated, as_json, data=lambda it: _as_data(it, crops=crops), text=_as_text)


def _draw(evaluated: Evaluated, file: Path) -> None:
    draw = getattr(evaluated.task, "draw", None)
    if draw is None:
        name = evaluated.model.loaded.config.task.name
        raise UsageError(f"--confusion: the task '{name}' draws no picture", remedy="leave it out")
    draw(evaluated.metrics, evaluated.classes, file)
    output.note(f"picture: {file}")


def _say_notes(evaluated: Sequence[Evaluated]) -> None:
    for note, holds in (
        (MIRRORED, any(each.mirrors_unseen for each in evaluated)),
        (OPTIMISTIC, any(each.selected for each in evaluated)),
        (SEEN, evaluated[0].split == "train"),
    ):
        if holds:
            output.note(f"note: {note}")


def _refuse_with_compare(runs: Sequence[Path], others: Mapping[str, Path | None]) -> None:
    if len(runs) != 2:
        raise UsageError(f"--compare needs two runs, not {len(runs)}", remedy="give two")
    for option, given in others.items():
        if given is not None:
            message = f"{option} has no effect with --compare"
            raise UsageError(message, remedy="evaluate one run for it")


def _compare(models: Sequence[Model], as_json: bool, **how: Any) -> None:
    from cnntrain.cli.evaluate_pair import as_data, as_text
    from cnntrain.model.paired import evaluate_pair

    paired = evaluate_pair(*models, **how)
    _say_notes([paired.first, paired.second])
    output.answer(paired, as_json, data=as_data, text=as_text)


def _as_text(evaluated: Evaluated) -> str:
    metrics = evaluated.metrics
    views = f", {evaluated.views} views of each" if evaluated.views > 1 else ""
    images = f"on {metrics.images:,} {evaluated.split} images{views}"
    if evaluated.members:
        lines = [f"{len(evaluated.members)} networks {images}", _members(evaluated), ""]
    else:
        lines = [f"{_named(evaluated.model)} {images}"]
    lines.append(evaluated.task.report(metrics, evaluated.classes))
    if evaluated.quality is not None:
        lines += ["", evaluated.quality.text(learnt=evaluated.split == "train")]
    lines.append(f"loss: {evaluated.loss}")
    return "\n".join(lines)


def _named(model: Model) -> str:
    return f"{model.path} (epoch {model.epoch})" if model.epoch else str(model.path)


def _members(evaluated: Evaluated) -> str:
    """What each member of a committee does by itself, and all of them together."""
    summary = evaluated.task.summary
    rows = [["network", *summary(evaluated.metrics)]]
    rows += [[_named(model), *summary(metrics).values()] for model, metrics in evaluated.members]
    rows.append(["together", *summary(evaluated.metrics).values()])
    table, differing = columns(rows, right=range(1, len(rows[0]))), evaluated.disagreements
    if differing is None:
        return table
    share = differing / evaluated.metrics.images
    return f"{table}\nthey disagree on {differing:,} images ({share:.2%})"


def _as_data(evaluated: Evaluated, *, crops: str) -> dict[str, Any]:
    from cnntrain.data.left_out import plain

    quality = evaluated.quality
    return {
        **_network(evaluated),
        "split": evaluated.split,
        "selected_the_weights": evaluated.selected,
        "crops": crops,
        "views": evaluated.views,
        **evaluated.task.data(evaluated.metrics, evaluated.classes),
        "loss_is": evaluated.loss,
        **({} if quality is None else quality.data(evaluated.classes)),
        "left_out": plain(evaluated.left_out),
    }


def _write_mistakes(evaluated: Evaluated, file: Path) -> None:
    """Path, true class, predicted class and its probability of each image that is wrong."""
    answers, images = evaluated.answers, evaluated.images
    if answers is None or images is None:
        raise UsageError("--mistakes needs probabilities of classes", remedy="leave it out")
    confidences, predicted = answers.confidences, answers.predicted.tolist()
    wrong = (~answers.right).nonzero().flatten()
    order = wrong[confidences[wrong].argsort(descending=True, stable=True)]
    rows = [["path", "class", "predicted", "probability"]]
    for number in order.tolist():
        names = (evaluated.classes[answers.targets[number]], evaluated.classes[predicted[number]])
        rows.append([images.label(number), *names, f"{confidences[number]:.6f}"])
    text = io.StringIO()
    write_csv(rows, text)
    write_output(file, text.getvalue().encode())
    output.note(f"{counted(len(order), 'mistake')}: {file}")


def _network(evaluated: Evaluated) -> dict[str, Any]:
    """What was evaluated: one network, or the members of a committee with their own figures."""
    if not evaluated.members:
        model = evaluated.model
        return {"checkpoint": str(model.path), "epoch": model.epoch}
    task = evaluated.task
    return {
        "members": [
            {"checkpoint": str(model.path), "epoch": model.epoch, **task.data(metrics)}
            for model, metrics in evaluated.members
        ],
        "disagreements": evaluated.disagreements,
    }


def read_scales(text: str | None, *, crops: str) -> tuple[int, ...]:
    """The numbers in `--scales 256,384,512`; none where it is not given.

    Raises:
        UsageError: they are no numbers, one stands twice, or they would have no effect.
    """
    if text is None:
        return ()
    if crops != "dense":
        raise UsageError("--scales has no effect without --crops dense", remedy="add it")
    words = [word.strip() for word in text.split(",")]
    if not all(word.isascii() and word.isdecimal() for word in words):
        raise UsageError(f"--scales {text} is not a list of lengths", remedy="such as 256,384,512")
    scales = tuple(int(word) for word in words)
    if len(set(scales)) < len(scales):
        raise UsageError(f"--scales {text} has a length twice", remedy="give each once")
    return scales
