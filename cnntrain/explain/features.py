"""The features of a network used: written to a file, searched, classified linearly."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cnntrain.core.atomic import disk_errors
from cnntrain.core.errors import UsageError
from cnntrain.explain.images import show_images
from cnntrain.explain.neighbours import Distance, draw_neighbours, nearest
from cnntrain.explain.probes import Probe, draw_probes, margin, probe
from cnntrain.model.features import Features
from cnntrain.model.images import Images, find_images
from cnntrain.model.layers import PASSED_ON, feature_tap
from cnntrain.model.model import Model
from cnntrain.model.opening import open_model
from cnntrain.model.splits import Split
from cnntrain.model.taps import Tap, bounded, features, tapped
from cnntrain.show.image_table import Picture
from cnntrain.show.pixels import photographs

SEARCHED = 4096
"""Maps are averaged over regions where a layer gives more numbers than this to be searched."""
PROBED = 512
"""Likewise for a linear classifier, whose fit takes longer with each of them."""


def write_features(found: Features, path: Path) -> None:
    """Write features as `.npz` (features, labels, files, classes, layer), or a row for each image.

    The rows of a `.csv` are file, class and one column for each feature; those of a `.parquet`
    file, class, label and a list.

    Raises:
        DiskError: the file cannot be written.
    """
    with disk_errors(path):
        if path.suffix.lower() == ".parquet":
            import pyarrow  # an extra
            import pyarrow.parquet

            columns = {
                "file": list(found.files),
                "class": [found.classes[target] for target in found.targets.tolist()],
                "label": found.targets.numpy(),
                "features": list(found.values.numpy()),
            }
            table = pyarrow.table(columns).replace_schema_metadata({"layer": found.layer})
            pyarrow.parquet.write_table(table, path)
            return
        if path.suffix.lower() == ".npz":
            with path.open("wb") as file:
                np.savez_compressed(
                    file,
                    features=found.values.numpy(),
                    labels=found.targets.numpy(),
                    files=np.array(found.files),
                    classes=np.array(found.classes),
                    layer=np.array(found.layer),
                )
            return
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        count = found.values.shape[1]
        writer.writerow(["file", "class", *(f"feature{i + 1}" for i in range(count))])
        for name, target, row in zip(
            found.files, found.targets.tolist(), found.values.tolist(), strict=True
        ):
            writer.writerow([name, found.classes[target], *(f"{value:.7g}" for value in row)])
        path.write_text(text.getvalue(), encoding="utf-8")


def retrieve(
    path: Path,
    wanted: Sequence[str],
    *,
    layer: str | None = None,
    split: Split = "train",
    distance: Distance = "cosine",
    count: int = 8,
    limit: int | None = None,
    overrides: Sequence[str] = (),
) -> Picture:
    """The images of a split that are nearest to some images in the space of a layer's features.

    Args:
        path: of the run.
        wanted: image files, or numbers of images of the data's evaluation split.
        layer: its dotted name; else what the last linear layer reads.
        split: what is searched.
        distance: between features.
        count: neighbours of each image.
        limit: search so many images, drawn at random; else all.
        overrides: see `open_model`.
    """
    model = open_model(path, overrides=overrides)
    tap = feature_tap(model, layer)
    shown = show_images(model, wanted)
    queries = _features_of(model, shown.images, tap)
    data = find_images(model, split=split, limit=limit)
    with data.opened() as loader:
        found, targets = features(model.net, loader, taps=[tap], limit=SEARCHED)
    distances, positions = nearest(queries, found[tap], distance=distance, count=count)
    pictures = [photographs(data.at(row), scaling=model.scaling) for row in positions.tolist()]
    facts, captions = _neighbour_facts(data, distances, positions, targets)
    title = f"Nearest among {data.told}: {distance} distance of {tap}"
    labels = [
        label if true is None else f"{label}\n{model.classes[true]}"
        for label, true in zip(shown.labels, shown.targets, strict=True)
    ]
    figure = draw_neighbours(
        photographs(shown.images, scaling=model.scaling),
        pictures,
        labels=labels,
        captions=captions,
        title=title,
    )
    named = [
        {"image": label, "neighbours": near}
        for label, near in zip(shown.labels, facts, strict=True)
    ]
    return Picture(
        figure,
        {"layer": str(tap), "split": data.split, "distance": distance, "queries": named},
        title,
    )


def _features_of(model: Model, images: Tensor, tap: Tap) -> Tensor:
    with torch.inference_mode(), tapped(model.net, [tap]) as found:
        model.net(images)
        return bounded(found[tap].float(), SEARCHED).cpu().clone()


def _neighbour_facts(
    data: Images, distances: Tensor, positions: Tensor, targets: Tensor
) -> tuple[list[list[dict[str, object]]], list[list[str]]]:
    facts, captions = [], []
    for values, numbers in zip(distances.tolist(), positions.tolist(), strict=True):
        row: list[dict[str, object]] = []
        lines = []
        for value, number in zip(values, numbers, strict=True):
            name = data.model.classes[int(targets[number])]
            row.append({"image": data.label(number), "class": name, "distance": value})
            lines.append(f"{name}  {value:.3g}\n{Path(data.label(number)).name}")
        facts.append(row)
        captions.append(lines)
    return facts, captions


@dataclass(frozen=True)
class Probed:
    """The probes of a network's layers.

    Args:
        probes: in the order of the layers.
        split: what the errors that count are of.
        error: of the network itself.
        images: of the split.
        shapes: what each layer gives: (C, H, W) or (F,).
        picture: all of it.
    """

    probes: tuple[Probe, ...]
    split: Split
    error: float
    images: int
    shapes: dict[str, tuple[int, ...]]
    picture: Picture


def probe_layers(
    path: Path,
    *,
    split: Split | None = None,
    limit: int | None = None,
    layers: Sequence[str] = (),
    overrides: Sequence[str] = (),
) -> Probed:
    """A linear classifier on every layer's features, fitted to training images.

    Args:
        path: of the run.
        split: what the errors that count are of.
        limit: of both splits use so many images, drawn at random.
        layers: their dotted names; else all outermost ones that change anything in evaluation.
        overrides: see `open_model`.

    Raises:
        UsageError: the split is the training images themselves, or these are all of one class.
    """
    model = open_model(path, overrides=overrides)
    taps = [feature_tap(model, name) for name in layers] or _all_taps(model)
    answer = Tap(model.plan.body.nodes[-1].name)
    both = list(dict.fromkeys([*taps, answer]))
    data = find_images(model, split=split, limit=limit)
    if data.split == "train":
        raise UsageError(
            "a probe is judged by images that it was not fitted to",
            remedy="choose another --split, or set `data.validation` in the run file",
        )
    with data.opened() as loader:
        held, truth = features(model.net, loader, taps=both, limit=PROBED)
    fitted = find_images(model, split="train", limit=limit)
    with fitted.opened() as loader:
        known, targets = features(model.net, loader, taps=taps, limit=PROBED)
    if len(set(targets.tolist())) < 2:
        raise UsageError(f"{fitted.told} are all of one class", remedy="raise --limit")
    error = float((held[answer].argmax(dim=1) != truth).float().mean())
    found = tuple(
        probe(str(tap), train=(known[tap], targets), held_out=(held[tap], truth)) for tap in taps
    )
    title = f"Linear probes, fitted to {fitted.told};\nerror on {data.told}"
    count = len(truth)
    figure = draw_probes(found, split=data.split, own=error, images=count, title=title)
    facts = {
        "split": data.split,
        "images": count,
        "error": error,
        "margin": margin(error, count),
        "layers": [{**vars(each), "margin": margin(each.error, count)} for each in found],
    }
    picture = Picture(figure, facts, title.replace("\n", " "))
    shapes = {str(tap): tuple(model.layers[tap.layer].out_shape) for tap in taps}
    return Probed(found, data.split, error, count, shapes, picture)


def _all_taps(model: Model) -> list[Tap]:
    """The outermost layers, without those that pass on what they read."""
    return [Tap(n.name) for n in model.plan.body.nodes if n.node.operation not in PASSED_ON]
