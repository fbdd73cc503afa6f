"""`cnntrain predict`: what a trained network takes images for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cnntrain.cli import output
from cnntrain.cli.evaluate import Crops, Scales, read_scales
from cnntrain.cli.options import Json, Overrides, Plugins, Trained, opened
from cnntrain.cli.predictions import NONE, as_csv, as_data, as_table, is_none
from cnntrain.core.atomic import write_output
from cnntrain.core.errors import UsageError
from cnntrain.show.words import counted

if TYPE_CHECKING:
    from cnntrain.data.on_disk import Listing
    from cnntrain.model.evaluate import Evaluated
    from cnntrain.model.model import Model
    from cnntrain.model.predict import Prediction
    from cnntrain.tasks.rejection import Rejection

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


Sort = Annotated[
    Path | None,
    typer.Option(
        "--sort-into",
        metavar="FOLDER",
        help="Copy each image into the folder of its class in this new folder.",
    ),
]
Html = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Also write a page with small pictures, by class."),
]
Given = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="FOLDER",
        help="Of a network that gives images: write them into this new folder, as PNG.",
    ),
]


def predict(  # noqa: PLR0913  # the flags of the command
    run: Trained,
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH...",
            help="Image files, folders (at any depth), patterns such as 'a/**/*.jpg', or - for "
            "a list on stdin (of find -print0, too).",
        ),
    ],
    top: Annotated[int, typer.Option(min=1, help="Number of top classes to report per image.")] = 3,
    form: Annotated[
        Literal["table", "csv"] | None,
        typer.Option("--format", help="Default: table; see also --json."),
    ] = None,
    as_json: Json = False,
    html: Html = None,
    sort: Sort = None,
    out: Given = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the page.")] = False,
    committee: Committee = None,
    reject: Reject = None,
    crops: Crops = "center",
    scales: Scales = None,
    overrides: Overrides = None,
    plugins: Plugins = None,
) -> None:
    """Predict image files: what a network says of each.

    They are prepared as evaluation prepares them.

    Exit code 3 if a file cannot be read; the others are answered all the same. Files in folders
    that are not taken (other formats and suffixes) are listed on stderr.
    """
    if as_json and form is not None:
        raise UsageError(f"--json and --format {form} contradict each other", remedy="give one")
    if reject is not None and not 0 <= reject < 1:
        message = f"--reject {reject} is not a share from 0 up to 1"
        raise UsageError(message, remedy="such as 0.05")
    sides = read_scales(scales, crops=crops)
    _refuse_places(html, {"--sort-into": sort, "--out": out}, force=force)
    from cnntrain.model.ensemble import Ensemble
    from cnntrain.model.opening import EVALUATE, PREDICT

    listing = _listed(paths)
    models = [
        opened(
            each,
            overrides=overrides,
            plugins=plugins,
            use=PREDICT if reject is None else EVALUATE,
        )
        for each in (run, *(committee or []))
    ]
    _refuse_for_task(models[0], {"--html": html, "--sort-into": sort}, out=out)
    network = Ensemble(models)
    rule = None
    if reject is not None:
        rule = _rule(network.evaluate("validation", crops=crops, scales=sides), reject)
    found = network.predict(listing.images, top=top, crops=crops, scales=sides)
    if as_json:
        output.result_json(as_data(found, listing.left_out, rule))
    elif text := as_csv(found, rule) if form == "csv" else as_table(found, rule):
        output.result(text)
    bad = [prediction for prediction in found if prediction.error]
    answers = [*models[0].classes, NONE]
    groups = _grouped(found, rule, answers) if html is not None or sort is not None else []
    if html is not None:
        shown = list(zip(answers, groups, strict=True))
        _write_page(html, shown, bad=bad, listing=listing, model=models[0])
    if sort is not None:
        _sort(sort, groups, answers)
    if out is not None:
        _write_images(out, found)
    for prediction in bad:
        output.note(f"error: {prediction.name}: {prediction.error}")
    if bad:
        raise typer.Exit(3)


def _refuse_places(html: Path | None, folders: Mapping[str, Path | None], *, force: bool) -> None:
    """Files and folders that cannot be written."""
    from cnntrain.core.whole_folder import refuse_used

    if html is not None:
        output.refuse_existing(html, force=force, option="--html")
        output.refuse_no_folder(html)
    for option, folder in folders.items():
        if folder is not None:
            refuse_used(folder, option=option)


def _refuse_for_task(
    model: Model, by_class: Mapping[str, Path | None], *, out: Path | None
) -> None:
    """Options that have no use for what the network says."""
    from cnntrain.tasks.targets import NAMED

    task = model.loaded.config.task
    what = "vectors" if task.form == "distances" else NAMED[task.form][1]
    gives = f"the task '{task.name}' gives {what}"
    for option, given in by_class.items():
        if given is not None and task.form != "classes":
            message = f"{option} is for images that are of one class each, and {gives}"
            remedy = "leave it out; --format csv and --json have what is given for each image"
            raise UsageError(message, remedy=remedy)
    if out is not None and task.form not in ("image", "several"):
        message = f"--out is for networks that give images, and {gives}"
        raise UsageError(message, remedy="leave it out; `--format csv > FILE` keeps the table")


def _listed(paths: Sequence[Path]) -> Listing:
    """The files that are meant, each once; those left out are said on stderr."""
    from cnntrain.data.given_files import list_given, read_names, refuse_no_image, unrepeated
    from cnntrain.data.left_out import tell

    named = [name for path in paths for name in (read_names() if str(path) == "-" else [path])]
    listing = list_given(named)
    refuse_no_image(listing, given=named)
    tell(listing.left_out)
    images = unrepeated(listing.images)
    if again := len(listing.images) - len(images):
        names = counted(again, "name repeats", "names repeat")
        output.note(f"note: {names} a file that is given before; it counts once")
    return replace(listing, images=images)


def _grouped(
    found: Sequence[Prediction], rule: Rejection | None, answers: Sequence[str]
) -> list[list[Prediction]]:
    """The images that could be read, by their answer; the last one is "none of these"."""
    numbers = {name: number for number, name in enumerate(answers[:-1])}
    groups: list[list[Prediction]] = [[] for _ in answers]
    for prediction in found:
        if prediction.answer is not None and prediction.label is None:
            message = f"{prediction.name} is not said to be of one class, as a `Ranking` would"
            raise UsageError(message, remedy="leave out --html and --sort-into")
        if prediction.label is not None:
            number = -1 if is_none(prediction, rule) else numbers[prediction.label]
            groups[number].append(prediction)
    return groups


def _write_page(
    file: Path,
    groups: Sequence[tuple[str, Sequence[Prediction]]],
    *,
    bad: Sequence[Prediction],
    listing: Listing,
    model: Model,
) -> None:
    from cnntrain.model.prediction_page import prediction_page

    page = prediction_page(
        groups,
        title=f"cnntrain predict {model.path}",
        unread=bad,
        left_out=listing.left_out,
        bits=model.bits,
    )
    write_output(file, page)
    output.note(f"page: {file}")


def _sort(folder: Path, groups: Sequence[Sequence[Prediction]], answers: Sequence[str]) -> None:
    from cnntrain.model.sorted_folders import folder_names, sort_into

    named = zip(folder_names(answers), groups, strict=True)
    files = {name: [Path(each.name) for each in group] for name, group in named if group}
    sort_into(folder, files)
    copies, folders = counted(sum(map(len, files.values())), "image"), counted(len(files), "folder")
    output.note(f"copied {copies} into {folders}: {folder}")


def _write_images(folder: Path, found: Sequence[Prediction]) -> None:
    from cnntrain.model.given_images import write_images

    count = write_images(folder, found)
    output.note(f"wrote {counted(count, 'image')}: {folder}")


def _rule(evaluated: Evaluated, share: float) -> Rejection:
    """The threshold, chosen on the validation images and said on stderr."""
    from cnntrain.tasks.rejection import choose_threshold

    if evaluated.answers is None:
        raise UsageError("--reject needs probabilities of classes", remedy="leave it out")
    rule = choose_threshold(evaluated.answers, share)
    output.note(
        f"note: below a probability of {rule.threshold:.4f} the answer is 'none of these', as for "
        f"{rule.right_rejected:,} of the {rule.right:,} validation images that are right, and "
        f"{rule.wrong_rejected:,} of the {rule.wrong:,} that are wrong"
    )
    return rule
