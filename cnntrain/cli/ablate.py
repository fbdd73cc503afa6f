"""`cnntrain ablate`: what each layer is worth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cnntrain.cli import output
from cnntrain.cli.options import Json, Overrides, RunFile
from cnntrain.core.errors import UsageError
from cnntrain.show.tables import columns

if TYPE_CHECKING:
    from cnntrain.fit.ablate import Ablation, Variant
    from cnntrain.tasks.protocol import Task


def ablate(
    file: RunFile,
    removed: Annotated[
        list[str] | None,
        typer.Option(
            "--remove", metavar="LAYERS", help="Names with commas between them. Repeatable."
        ),
    ] = None,
    train: Annotated[bool, typer.Option(help="Train each, or only count.")] = True,
    epochs: Annotated[int | None, typer.Option(min=1, help="Short for -s train.epochs=N.")] = None,
    again: Annotated[
        bool, typer.Option("--again", "--anew", help="Retrain even if a finished run exists.")
    ] = False,
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Remove layers: the change in parameters, and in the figures.

    Each --remove makes one network without those layers. With a convolution or a linear layer go
    the normalisation, activation and dropout right behind it. All are trained as the file says,
    each in a run of its own; a finished run of the same name and run file is taken as it is, so an
    interrupted ablation can be called again. With --no-train an architecture file will do.
    """
    sets = [tuple(name.strip() for name in text.split(",")) for text in removed or []]
    if not sets or not all(all(names) for names in sets):
        raise UsageError("no layer is named", remedy="write --remove fc7, or --remove conv3,conv4")
    if not train and (epochs is not None or again):
        option = "--again" if epochs is None else "--epochs"
        raise UsageError(f"{option} means nothing with --no-train", remedy="leave one of them out")
    given = [*(overrides or []), *([f"train.epochs={epochs}"] if epochs is not None else [])]
    from cnntrain.config import shipped

    path = Path(file) if Path(file).is_file() else shipped.find(file) or shipped.resolve(file)
    from cnntrain.data.left_out import gathered, plain
    from cnntrain.fit.ablate import ablate as run

    with gathered() as files:
        found = run(path, sets, train=train, again=again, overrides=given, tell=output.note)
    output.answer(
        found,
        as_json,
        data=lambda found: {**_as_data(found), "left_out": plain(files)},
        text=_as_text,
    )
    if found.exit_code:
        raise typer.Exit(found.exit_code)


def _as_text(found: Ablation) -> str:
    variants, figure = found.variants, found.task.headline[0]
    rows = [["without", "parameters", "change", "multiply-adds", "change"]]
    split = next((variant.split for variant in variants if variant.split), "")
    rows[0] += [f"{split} {figure}", "change", "run"] if split else []
    for variant in variants:
        whole = variants[0]
        row = [", ".join(variant.left_out) or "nothing"]
        for count, before in (
            (variant.parameters, whole.parameters),
            (variant.multiply_adds, whole.multiply_adds),
        ):
            row += [f"{count:,}", f"{(count - before) / before:+.1%}" if variant.left_out else ""]
        if split:
            row += [*_figures(variant, whole, found.task), str(variant.run)]
        rows.append(row)
    return columns(rows, right=range(1, 7 if split else 5))


def _figures(variant: Variant, whole: Variant, task: Task) -> list[str]:
    if variant.value is None:
        return ["", ""]
    text, change = task.text(task.headline[0], variant.value), ""
    if whole.value is not None and variant.left_out:
        more = variant.value - whole.value
        change = f"{100 * more:+.2f} points" if text.endswith("%") else f"{more:+.4g}"
    return [text, change]


def _as_data(found: Ablation) -> dict[str, Any]:
    known = []
    for variant in found.variants:
        each = {found.task.headline[0] if k == "value" else k: v for k, v in vars(variant).items()}
        each = {"without": each.pop("left_out"), **each, "split": variant.split or None}
        known.append({**each, "run": None if variant.run is None else str(variant.run)})
    return {"variants": known}
