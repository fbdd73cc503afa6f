"""`cnntrain data`: look at the images before training on them."""

from __future__ import annotations

import io
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cnntrain.cli import output
from cnntrain.cli.options import Json, Overrides, RunFile
from cnntrain.core.atomic import write_output
from cnntrain.core.escapes import escaped
from cnntrain.show.tables import columns
from cnntrain.show.words import counted, listed

if TYPE_CHECKING:
    from cnntrain.config.schema import RunConfig
    from cnntrain.data.check import DataReport, Duplicate

UNEVEN = 2.0
"""Ratio of the largest to the smallest class from which a remedy is named."""

SHEETS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
"""Formats of `data show`, by suffix."""

app = typer.Typer(help="Look at a run file's images.", no_args_is_help=True, rich_markup_mode=None)


@app.command("check")
def check(file: RunFile, overrides: Overrides = None, as_json: Json = False) -> None:
    """Read every image. Reports class counts, sizes, unreadable and unused files, duplicates.

    Exit code 3 if a file is unreadable, an image too small for a crop or in two splits.
    """
    from cnntrain.config import shipped
    from cnntrain.config.load import load

    loaded = load(shipped.resolve(file), overrides or [])
    from cnntrain.assemble.transfer.preprocessing import follow_weights
    from cnntrain.assemble.translation import data_errors
    from cnntrain.core.target_forms import has_image
    from cnntrain.data.check import check_data
    from cnntrain.show.progress import bar

    loaded = follow_weights(loaded)
    data, wanted = loaded.config.data, loaded.config.task.wanted
    with data_errors(loaded), bar("images") as shown:
        report = check_data(
            data.name,
            parameters=data.parameters,
            holdout=data.holdout(seed=loaded.config.seed),
            train_transforms=[(call.name, call.parameters) for call in data.transforms.train],
            eval_transforms=[(call.name, call.parameters) for call in data.transforms.eval],
            progress=shown.update,
            form=wanted if has_image(wanted) else None,
        )
    output.answer(report, as_json, data=_as_data, text=lambda it: _as_text(it, loaded.config))
    if not report.is_clean:
        raise typer.Exit(3)


@app.command("show")
def show(
    file: RunFile,
    overrides: Overrides = None,
    out: Annotated[Path, typer.Option(help="The picture to write.")] = Path("images.png"),
    epoch: Annotated[int, typer.Option(min=1, help="Whose augmentation is shown.")] = 1,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the picture.")] = False,
) -> None:
    """Draw augmented training images. As the network sees them, with their labels."""
    from cnntrain.config import shipped
    from cnntrain.config.load import load

    loaded = load(shipped.resolve(file), overrides or [])
    output.new_file(out, usual="", force=force, suffixes=list(SHEETS))
    from cnntrain.assemble.transfer.preprocessing import follow_weights
    from cnntrain.assemble.translation import open_run_data
    from cnntrain.data.left_out import tell
    from cnntrain.data.preview import contact_sheet

    data = open_run_data(follow_weights(loaded), device="cpu")
    tell(data.left_out)
    sheet = contact_sheet(data.train, targets=data.targets, statistics=data.statistics, epoch=epoch)
    made = io.BytesIO()
    sheet.save(made, format=SHEETS[out.suffix.lower()])
    write_output(out, made.getvalue())
    output.result(str(out))


@app.command("shards")
def shards(
    file: RunFile,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="A new or empty folder.")],
    overrides: Overrides = None,
    size: Annotated[float, typer.Option(min=0.001, help="MB of a shard at most.")] = 1000,
) -> None:
    """Copy the images into tar files, for data.name: webdataset. The files' bytes as they are.

    Each split of the run file becomes train-000000.tar, ...; what is held out is a split of its
    own. WebDataset reads them, too.
    """
    from cnntrain.config import shipped
    from cnntrain.config.load import load
    from cnntrain.core.whole_folder import refuse_used

    loaded = load(shipped.resolve(file), overrides or [])
    refuse_used(out, option="--out")
    from cnntrain.assemble.translation import data_errors
    from cnntrain.data.left_out import tell
    from cnntrain.data.read import open_splits
    from cnntrain.data.write_shards import write_shards
    from cnntrain.show.progress import bar

    data, seed = loaded.config.data, loaded.config.seed
    with data_errors(loaded):
        splits = open_splits(data.name, parameters=data.parameters, holdout=data.holdout(seed=seed))
        tell(splits.left_out)
        every = sum(map(len, splits.parts.values()))
        with bar("images", total=every) as shown:
            made = write_shards(
                splits, out, most_bytes=round(size * 1e6), seed=seed, progress=shown.update
            )
    for split, count in made.shards.items():
        images = counted(made.images[split], "image")
        output.note(f"{split}: {images} in {counted(count, 'shard')}")
    output.note(f"next: data: {{name: webdataset, root: {out}}} in the run file")
    output.result(str(out))


def _balance(report: DataReport, config: RunConfig) -> str:
    """How uneven the classes are, and what to do about it if nothing is done yet."""
    if report.form != "classes":
        return ""
    counts = report.counts["train"]
    empty = [name for name, count in zip(report.classes, counts, strict=True) if not count]
    if empty:
        return f"no training images: {', '.join(empty)}"
    text = f"largest class over smallest: {report.imbalance:.2f}"
    weighs = config.train is not None and config.train.loss.parameters.get("class_weights")
    if report.imbalance < UNEVEN or config.data.sampling == "balanced" or weighs:
        return text
    return f"{text}; set data.sampling or train.loss.class_weights to balanced, not both"


def _as_text(report: DataReport, config: RunConfig) -> str:
    splits = list(report.counts)
    from cnntrain.tasks.targets import NAMED

    rows = [[NAMED[report.form][0], *splits]]
    for index, name in enumerate(report.classes):
        rows.append([name, *(f"{report.counts[split][index]:,}" for split in splits)])
    totals = {split: sum(counts) for split, counts in report.counts.items()}
    if report.form != "classes":  # an image may have several, or none
        totals = {split: sum(n for _, n in sizes) for split, sizes in report.sizes.items()}
    name = "total" if report.form == "classes" else "images"
    rows.append([name, *(f"{totals[split]:,}" for split in splits)])
    lines = []
    for split, sizes in report.sizes.items():
        shown = listed([f"{h}x{w} ({count:,})" for (h, w), count in sizes], most=5)
        lines.append(f"sizes in {split} (height x width): {shown}")
    if "validation" not in report.counts:
        lines.append("no validation images; -s data.split.validation=0.2 holds some out")
    lines += filter(None, [_balance(report, config)])
    lines += [f"unreadable: {bad.path}: {bad.reason}" for bad in report.unreadable]
    lines += [
        f"too small for {found.transform}: {found.images:,} images of {found.split}, such as "
        f"{found.example}: {found.reason}"
        for found in report.unfit
    ]
    lines += [f"in several splits: {_group(group)}" for group in report.leaks]
    if within := [group for group in report.duplicates if len(group.splits) == 1]:
        lines.append(f"equal images within a split: {counted(len(within), 'group')}, such as:")
        lines += [f"    {_group(group)}" for group in within[:5]]
    contradictions = sum(len(group.classes) > 1 for group in report.duplicates)
    if contradictions:
        lines.append(f"equal images with different labels: {counted(contradictions, 'group')}")
    lines += [report.deep.words] if report.deep else []
    lines += list(report.notes)
    if report.is_clean:
        every = "every other image" if report.left_out else "every image"
        lines.append(f"good: {every} can be read and used, and none is in two splits")
    table = columns(rows, right=range(1, len(splits) + 1))
    return "\n".join([table, "", *map(escaped, lines)])


def _group(group: Duplicate) -> str:
    return " = ".join(f"{split} {image} ({label})" for split, image, label in group.images[:4])


def _as_data(report: DataReport) -> dict[str, Any]:
    from cnntrain.data.left_out import plain

    return {
        "classes": report.classes,
        "counts": report.counts,
        "sizes": {
            split: [{"height": h, "width": w, "images": n} for (h, w), n in sizes]
            for split, sizes in report.sizes.items()
        },
        "imbalance": None if math.isinf(report.imbalance) else report.imbalance,
        "unreadable": [{"file": str(b.path), "reason": b.reason} for b in report.unreadable],
        "duplicates": [
            [{"split": s, "image": i, "class": c} for s, i, c in group.images]
            for group in report.duplicates
        ],
        "unfit": [asdict(unfit) for unfit in report.unfit],
        "deep": None if report.deep is None else asdict(report.deep),
        "left_out": plain(report.left_out),
        "is_clean": report.is_clean,
    }
