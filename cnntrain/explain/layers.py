"""Pictures of what a network has learned: filters, maps, patches, embedding."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from pathlib import Path

import torch
from torch import Tensor, nn

from cnntrain.core.errors import UsageError
from cnntrain.explain.deconv import draw_deconv
from cnntrain.explain.embedding import Method, draw_embedding, embed
from cnntrain.explain.filters import draw_filters
from cnntrain.explain.gabor import draw_gabor, fit_gabor, grey_filters
from cnntrain.explain.images import show_images
from cnntrain.explain.maps import draw_maps
from cnntrain.explain.patches import draw_patches
from cnntrain.explain.strongest import Strongest, strongest
from cnntrain.model.images import find_images
from cnntrain.model.layers import feature_tap, find_layer, last_maps
from cnntrain.model.model import Model
from cnntrain.model.opening import open_model
from cnntrain.model.splits import Split
from cnntrain.model.taps import Tap, features, tapped
from cnntrain.show.image_table import Picture
from cnntrain.show.pixels import photographs

FEATURES = 4096
"""Maps are averaged over regions where a layer gives more numbers than this."""


def filters(path: Path, *, layer: str | None = None, overrides: Sequence[str] = ()) -> Picture:
    """The kernels of a layer; the first one's where none is named."""
    model = open_model(path, overrides=overrides)
    name, weight = kernels(model, layer)
    figure = draw_filters(weight.detach().float().cpu(), name=name)
    return Picture(figure, {"layer": name, "shape": list(weight.shape)})


def kernels(model: Model, layer: str | None) -> tuple[str, Tensor]:
    """The weights (out, in, height, width) of a layer, and its name.

    A linear layer that reads the pixels has filters as large as the image.

    Raises:
        UsageError: there are no such weights, or several in one layer.
    """
    found = _all_kernels(model)
    if layer is None:
        if not found:
            raise UsageError("the network has no filters", remedy="only convolutions have some")
        return next(iter(found.items()))
    find_layer(model, layer)
    inside = {n: w for n, w in found.items() if n == layer or n.startswith(f"{layer}.")}
    if len(inside) == 1:
        return next(iter(inside.items()))
    some = ", ".join(list(inside or found)[:8])
    if inside:
        raise UsageError(f"'{layer}' has several layers with filters", remedy=f"name one: {some}")
    raise UsageError(f"'{layer}' has no filters", remedy=f"these have: {some}" if found else "")


def _all_kernels(model: Model) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    image = model.plan.body.in_shape
    for name, module in model.net.named_modules():
        weight = getattr(module, "weight", None)
        if isinstance(weight, Tensor) and weight.ndim == 4:
            found[name] = weight
        elif isinstance(module, nn.Linear) and not found and module.in_features == prod(image):
            found[name] = module.weight.view(-1, *image)
    return found


def maps(
    path: Path,
    *,
    layer: str | None = None,
    image: str | None = None,
    split: Split | None = None,
    overrides: Sequence[str] = (),
) -> Picture:
    """What a layer gives for one image; the first layer with weights where none is named."""
    model = open_model(path, overrides=overrides)
    weighted = [node.name for node in model.plan.body.nodes if node.parameters]
    name = layer or weighted[0]
    find_layer(model, name)
    shown = show_images(model, [image] if image else [], split=split, usual=1)
    with torch.inference_mode(), tapped(model.net, [Tap(name)]) as found:
        model.net(shown.images)
    values = found[Tap(name)][0].float().cpu()
    pixels = photographs(shown.images, scaling=model.scaling)[0]
    classes = model.classes if _for_classes(model, name) else None
    figure = draw_maps(pixels, values, name=name, label=shown.labels[0], classes=classes)
    return Picture(figure, {"layer": name, "shape": list(values.shape), "image": shown.labels[0]})


def _for_classes(model: Model, name: str) -> bool:
    """Whether a layer gives a map, or a number, for each class: no later one has weights."""
    nodes = [node.name for node in model.plan.body.nodes]
    if name not in nodes or model.layers[name].out_shape[0] != len(model.classes):
        return False
    later = model.plan.body.nodes[nodes.index(name) + 1 :]
    return not any(node.parameters for node in later)


def patches(
    path: Path,
    *,
    layer: str | None = None,
    units: Sequence[int] = (),
    count: int = 8,
    projected: bool = False,
    split: Split | None = None,
    limit: int | None = None,
    overrides: Sequence[str] = (),
) -> Picture:
    """The parts of images that units answer to most.

    Args:
        path: of the run.
        layer: its dotted name; else see `last_maps`.
        units: maps of the layer, counted from 0; else `count` of those that are active.
        count: how many where none are named.
        projected: show the answers projected back to the pixels, too; see `deconvolve`.
        split: whose images.
        limit: so many images at most.
        overrides: see `open_model`.
    """
    model = open_model(path, overrides=overrides)
    name = layer or last_maps(model)
    node = find_layer(model, name)
    _check_units(units, node.out_shape[0], name)
    field = node.receptive_field
    data = find_images(model, split=split, limit=limit)
    with data.opened() as loader:
        peaks = strongest(model.net, loader, layer=name)
    chosen = _units(peaks, units, count, name)
    numbers = sorted(set(peaks.images[chosen].flatten().tolist()))
    images = data.at(numbers)
    pixels = dict(zip(numbers, photographs(images, scaling=model.scaling), strict=True))
    if projected:
        parts = dict(zip(numbers, torch.split(images, 1), strict=True))
        figure = draw_deconv(
            model.net, peaks, chosen, layer=name, images=parts, pixels=pixels, field=field
        )
    else:
        figure = draw_patches(peaks, chosen, images=pixels, field=field, name=name)
    facts = [
        {
            "unit": unit,
            "answers": [
                {**vars(each), "image": data.label(each.image)} for each in peaks.answers(unit)
            ],
        }
        for unit in chosen
    ]
    known = {"layer": name, "split": data.split, "images": peaks.seen}
    return Picture(figure, {**known, "units": facts})


def _check_units(wanted: Sequence[int], there: int, name: str) -> None:
    for unit in wanted:
        if unit >= there:
            message = f"the layer '{name}' has no unit {unit}"
            raise UsageError(message, remedy=f"it has 0 to {there - 1}")


def _units(peaks: Strongest, wanted: Sequence[int], count: int, name: str) -> list[int]:
    """The units asked for; else `count` of the active ones, evenly from strong to weak."""
    if wanted:
        return list(wanted)
    alive = peaks.alive()
    if not alive:
        raise UsageError(
            f"no unit of '{name}' is ever above zero", remedy="name units with --unit to see them"
        )
    places = torch.linspace(0, len(alive) - 1, min(count, len(alive))).round().int().tolist()
    return [alive[place] for place in places]


def embedding(
    path: Path,
    *,
    layer: str | None = None,
    method: Method = "tsne",
    split: Split | None = None,
    limit: int | None = None,
    overrides: Sequence[str] = (),
) -> Picture:
    """The features of a layer in two dimensions; see `feature_tap`."""
    model = open_model(path, overrides=overrides)
    tap = feature_tap(model, layer)
    answer = Tap(model.plan.body.nodes[-1].name)
    data = find_images(model, split=split, limit=limit)
    if len(data.positions) < 3:
        raise UsageError(f"{data.told} are too few to embed", remedy="raise --limit")
    with data.opened() as loader:
        found, targets = features(model.net, loader, taps=[tap, answer], limit=FEATURES)
    if not found[tap].std(dim=0).any():
        raise UsageError(
            f"{tap} gives the same for all {data.told}",
            remedy="`cnntrain diagnose RUN --check units` looks for the cause",
        )
    points, what = embed(found[tap], method=method)
    wrong = found[answer].argmax(dim=1) != targets
    title = f"{tap} ({found[tap].shape[1]} features) of {data.told}\n{what}"
    figure = draw_embedding(points, targets, classes=model.classes, wrong=wrong, title=title)
    named = enumerate(zip(targets.tolist(), points.tolist(), strict=True))
    facts = [
        {"image": data.label(number), "class": model.classes[target], "x": x, "y": y}
        for number, (target, (x, y)) in named
    ]
    known = {"layer": str(tap), "split": data.split, "method": method, "points": facts}
    return Picture(figure, known, what)


def gabor(path: Path, *, layer: str | None = None, overrides: Sequence[str] = ()) -> Picture:
    """Gabor functions fitted to the filters of a layer, the first one's where none is named."""
    model = open_model(path, overrides=overrides)
    name, weight = kernels(model, layer)
    if min(weight.shape[2:]) < 5:
        size = " x ".join(map(str, weight.shape[2:]))
        large = [n for n, w in _all_kernels(model).items() if min(w.shape[2:]) >= 5]
        raise UsageError(
            f"the filters of '{name}' are {size}: a Gabor function, which has 8 parameters, fits "
            "anything so small",
            remedy=f"these are large enough: {', '.join(large[:8])}"
            if large
            else "all filters of this network are so small; `visualize filters` shows them",
        )
    patterns = grey_filters(weight)
    fits = [fit_gabor(pattern) for pattern in patterns.numpy()]
    figure = draw_gabor(weight.detach().float().cpu(), patterns, fits, name=name)
    shares = sorted(fit.explained for fit in fits)
    text = (
        f"{name}: Gabor functions explain {shares[len(shares) // 2]:.1%} of the variance (median)"
    )
    return Picture(figure, {"layer": name, "filters": [vars(fit) for fit in fits]}, text)
