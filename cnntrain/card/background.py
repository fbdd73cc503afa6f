"""The sections of a card on the network, its data, its training, its use and its limits."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from cnntrain.arch.table import Row, rows
from cnntrain.arch.table_text import folded, times
from cnntrain.card.charts import shapes_drawing
from cnntrain.card.markup import code, image, items, pairs, paragraph, photos, scrolled, table
from cnntrain.card.results import MANY, WORST, score_of
from cnntrain.card.subject import Subject
from cnntrain.config.resolved import resolved_tree
from cnntrain.data.read import class_counts
from cnntrain.model.find_layers import all_kernels
from cnntrain.model.model import Model
from cnntrain.show.pixels import mosaic, signed
from cnntrain.show.words import clock_time, counted, listed, percent

_LONGEST_TEXT = 200
_MOST_ROWS, _MOST_FILTERS = 40, 64
_SMALL_SPLIT = 1000
"""Images, below which the limits say that a split is small."""


def filters(model: Model) -> Iterator[str]:
    """The kernels that look at the image itself, where they are large enough to be seen."""
    name, weight = next(iter(all_kernels(model).items()), ("", None))
    if weight is None or weight.shape[1] not in (1, 3) or min(weight.shape[2:]) < 3:
        return
    weight = weight.detach().float().cpu()
    out, _, height, width = weight.shape
    tiles = signed(weight[:_MOST_FILTERS])
    columns = min(8, len(tiles))
    sheet = mosaic(tiles, columns=columns, ground=-1.0)
    seen = (sheet[..., :1] >= 0).astype(np.float32)  # nothing between the tiles
    wide = sheet.shape[1] * max(1, round(380 / sheet.shape[1]))
    some = f", the first {_MOST_FILTERS}" if out > _MOST_FILTERS else ""
    what = f"{out} filters of {height}x{width} of {name}{some}"
    yield paragraph(f"{what}; each scaled by its largest weight, grey is zero.")
    tiled = image(np.concatenate([sheet.clip(0, 1), seen], axis=2), what)
    yield f'<div class="tiles" style="width:{wide}px">{tiled}</div>'


def network(model: Model) -> Iterator[str]:
    """What becomes of an image, and the table of layers."""
    plan = model.plan
    all_rows = rows(plan)
    shapes = [("image", plan.body.in_shape)]
    for row in all_rows:
        if row.depth == 0 and row.kind != "head" and row.out_shape != shapes[-1][1]:
            shapes.append((row.last_name, row.out_shape))
    yield paragraph(
        f"{plan.parameters:,} parameters; {plan.multiply_adds:,} multiply-adds for an image of "
        f"{times(plan.body.in_shape)}."
    )
    yield scrolled(shapes_drawing(shapes), "Shapes in the network")
    yield paragraph("Each block is where the shape changes: maps, their size, the layer.", "soft")
    depths = [None, *range(max(row.depth for row in all_rows), 0, -1)]
    tables = (folded(all_rows, depth) for depth in depths)
    shown = next((found for found in tables if len(found) <= _MOST_ROWS), folded(all_rows, 1))
    head = ["layer", "operation", "output", "parameters", "multiply-adds", "share"]
    lines = [head, *map(_layer, shown)]
    if not any(line[1] for line in lines[1:]):  # the names say it
        lines = [[name, *rest] for name, _, *rest in lines]
    last = len(lines[0]) - 1
    yield table(lines, label="Layers", words=last - 2, bar=last)


def _layer(row: Row) -> list[str]:
    share = row.multiply_add_share
    return [
        "\u2003" * row.depth + row.last_name,
        "" if row.is_numbered or row.kind == "path" else row.operation,
        times(row.out_shape),
        f"{row.parameters:,}" if row.parameters else "",
        f"{row.multiply_adds:,}" if row.multiply_adds else "",
        percent(share, places=1) if share else "",
    ]


def images(subject: Subject) -> Iterator[str]:
    """Counts, what is left out, the transforms, a few augmented images."""
    model, splits = subject.model, subject.splits
    config = model.loaded.config
    if splits is not None:
        counts = class_counts(splits)
        if splits.form == "numbers":
            counts = {name: (len(part),) for name, part in splits.parts.items()}
        yield _counts(splits.classes if splits.form != "numbers" else ["images"], counts)
        yield from map(paragraph, splits.notes)
        causes = Counter(file.cause.what for file in splits.left_out)
        yield from (paragraph(f"{n:,} left out: {what}.") for what, n in causes.items())
    chain = {
        "for training": config.data.transforms.train,
        "for evaluation": config.data.transforms.eval,
    }
    steps = (
        (when, "; ".join(_in_words({"name": call.name, **call.parameters}) for call in calls))
        for when, calls in chain.items()
    )
    yield "<h3>Transforms</h3>" + pairs(steps, label="Transforms")
    if subject.examples is not None:
        pixels, labels = subject.examples
        yield "<h3>Training images as the network saw them</h3>"
        yield photos(pixels, ((f"augmented {name}", [name]) for name in labels))


def _counts(names: Sequence[str], counts: Mapping[str, Sequence[int]]) -> str:
    order = list(range(len(names)))
    title = ""
    if len(names) > MANY:
        order = sorted(order, key=lambda i: counts["train"][i])[:WORST]
        title = paragraph(f"The {WORST} classes with the fewest training images.", "note")
    lines = [["class", *counts]]
    lines += [[names[i], *(f"{each[i]:,}" for each in counts.values())] for i in order]
    lines.append([f"all {len(names):,}", *(f"{sum(each):,}" for each in counts.values())])
    return title + table(lines, label="Images", kind="sum")


def training(subject: Subject) -> Iterator[str]:
    """The recipe, the machine, the run file."""
    config = subject.model.loaded.config
    facts: list[tuple[str, str]] = [("network weights", _weights(subject))]
    if config.train is not None:
        tree = resolved_tree(config)["train"]
        facts += [(key, _in_words(tree[key])) for key in ("optimizer", "schedule", "loss")]
        facts += [
            (key.replace("_", " "), _in_words(tree[key]))
            for key in ("l1", "penalties", "clip_norm", "ema", "early_stop", "select")
            if tree.get(key)
        ]
        facts.append(("batch", counted(config.data.batch, "image")))
    facts.append(("seed", str(config.seed)))
    precision = subject.environment.get("precision", config.compute.precision)
    facts.append(("precision", str(precision)))
    facts += _machine(subject)
    yield pairs(facts, label="How it was trained")
    if subject.run_file:
        yield "<h3>The run file</h3>"
        yield code(subject.run_file.rstrip("\n"), "The run file")
    if subject.run is not None and subject.run.overrides.is_file():
        changed = subject.run.overrides.read_text("utf-8", "replace").split("\n")
        if given := [line for line in changed if line]:
            yield paragraph("Changed on the command line:")
            yield code("\n".join(given), "Overrides")


def _weights(subject: Subject) -> str:
    config, epoch = subject.model.loaded.config, subject.model.epoch
    planned = "" if config.train is None else f" of {config.train.epochs:,}"
    chosen = " (selected by the validation images)" if subject.model.is_best else ""
    return f"after epoch {epoch:,}{planned}{chosen}" if epoch else "as they were loaded"


def _machine(subject: Subject) -> Iterator[tuple[str, str]]:
    """Not the host's name and no folder: the page is for others."""
    found, summary = subject.environment, subject.summary
    seconds = summary.get("seconds")
    if isinstance(seconds, int | float):
        reason, rate = summary.get("reason"), summary.get("images_per_second")
        speed = f", {rate:,.0f} images/s" if isinstance(rate, int | float) else ""
        yield "time", f"{clock_time(seconds)}{speed} ({reason})"
    if not found:
        return
    yield "begun", str(found.get("time"))
    gpus = found.get("gpus")
    chips = listed(gpus) if isinstance(gpus, list) and gpus else "no GPU"
    yield "machine", f"{found.get('platform')}, {found.get('cpus')} cores, {chips}"
    programs = ((key, found.get(key)) for key in ("cnntrain", "torch", "torchvision", "python"))
    yield "versions", ", ".join(f"{key} {version}" for key, version in programs if version)
    git = found.get("git")
    if isinstance(git, dict) and git.get("commit"):
        dirty = ", with changes that are not committed" if git.get("dirty") else ""
        yield "source", f"git commit {git['commit']}{dirty}"


def _in_words(value: Any) -> str:
    """A part of a run file in a line: `sgd: lr 0.05, momentum 0.9`."""
    if not isinstance(value, Mapping):
        return _plain(value)
    given = {k: v for k, v in value.items() if v not in (None, False, 0, [], (), {})}
    name = given.pop("name", "")
    rest = ", ".join(f"{key} {_plain(each)}" for key, each in given.items())
    return ": ".join(str(part) for part in (name, rest) if part)


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_plain, value)) + "]"
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}..."


def use(subject: Subject) -> Iterator[str]:
    """Commands and Python lines that can be pasted."""
    run = shlex.quote(str(subject.named))
    lines = [
        f"cnntrain predict {run} IMAGE_OR_FOLDER",
        f"cnntrain eval {run}",
        f"cnntrain export {run} --to onnx --out network.onnx",
    ]
    if subject.run is not None and not subject.summary:
        lines.append(f"cnntrain fit --resume {run}")
    yield code("\n".join(lines), "Commands")
    yield code(
        "import cnntrain\n\n"
        f"model = cnntrain.load({str(subject.named)!r})\n"
        'print(model.predict("image.jpg")[0].answer.data())',
        "Python",
    )
    size = times(subject.model.in_shape)
    yield paragraph(f"Images of any size are prepared to {size} as for the evaluation.", "soft")


def limits(subject: Subject) -> Iterator[str]:
    """What the figures do not say."""
    score, model = score_of(subject), subject.model
    said = []
    if score is not None:
        if score.split == "train":
            said.append(
                "The figures are of training images. On others the error is larger; how much "
                "larger, only images that were held out can show (-s data.split.validation=0.2)."
            )
        elif score.split == "validation":
            chosen = (
                "They selected the weights"
                if subject.model.is_best
                else "Recipes are chosen by them"
            )
            said.append(
                f"The figures are of validation images, not of a test set. {chosen}, so the error "
                "on new images is likely to be larger."
            )
        else:
            said.append(
                "The test images selected nothing in this run. Whoever compares several runs by "
                "them and keeps the best has used them for a selection."
            )
        if score.split != "train" and score.images < _SMALL_SPLIT:
            said.append(
                f"{counted(score.images, 'image')} are few: the interval above is as wide as it is "
                "because of that, and figures of single classes are less certain still."
            )
    if subject.splits is not None and subject.splits.division is not None:
        said.append(
            "Images were held out at random from one collection. Images that belong together (of "
            "one person, of one video) may be on both sides, unless data.split keeps them together."
        )
    if score is None or score.split != "train":
        said.append(
            "The interval covers the choice of images, not other cameras, places or times, and not "
            "another training with another seed."
        )
    known = model.named.described
    does = "names one of them" if model.named.form == "classes" else "gives an answer"
    said.append(
        f"The network knows {known} and {does} for any image, also for one of something else."
    )
    if model.loaded.config.finetune is not None:
        said.append("It began with weights that were trained on other images, which are not shown.")
    yield items(said)
