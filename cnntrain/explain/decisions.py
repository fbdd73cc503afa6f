"""Pictures of single decisions: where the network looks, what it confuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from cnntrain.core.errors import UsageError
from cnntrain.explain.cam import class_activation, draw_cam, grad_cam
from cnntrain.explain.fool import best
from cnntrain.explain.images import short, show_images
from cnntrain.explain.mistakes import draw_mistakes, find_mistakes
from cnntrain.explain.occlusion import draw_occlusion, occlude, usual_stride
from cnntrain.explain.saliency import draw_saliency
from cnntrain.explain.saliency import saliency as slopes
from cnntrain.model.classes import class_number
from cnntrain.model.images import find_images
from cnntrain.model.layers import find_layer, last_maps, pooled_end
from cnntrain.model.model import Model
from cnntrain.model.opening import open_model
from cnntrain.model.splits import Split
from cnntrain.record.confusion import confusion_figure
from cnntrain.show.image_table import Picture
from cnntrain.show.pixels import photographs


def saliency(
    path: Path,
    *,
    images: Sequence[str] = (),
    target: str | None = None,
    split: Split | None = None,
    overrides: Sequence[str] = (),
) -> Picture:
    """Which pixels change the score of a class, by default of the one that the network sees."""
    model = open_model(path, overrides=overrides)
    decided = _decide(model, images, target=target, split=split)
    found = slopes(model.net, decided.images, classes=decided.targets)
    pixels = photographs(decided.images, scaling=model.scaling)
    figure = draw_saliency(pixels, found, captions=decided.captions, aims=decided.aims)
    return Picture(figure, {"method": "gradient", "images": decided.facts})


def cam(
    path: Path,
    *,
    images: Sequence[str] = (),
    target: str | None = None,
    layer: str | None = None,
    split: Split | None = None,
    overrides: Sequence[str] = (),
) -> Picture:
    """Where in the image the network sees a class.

    A network that ends in global average pooling and a linear layer has class activation maps;
    for others, and for a layer that is named, it is Grad-CAM.
    """
    model = open_model(path, overrides=overrides)
    end = pooled_end(model) if layer is None else None
    if end is not None:
        pool, linear = end
        method = "Class activation map (Zhou et al. 2016)"
        told = f"what {pool} reads, weighted by {linear}"
        find = partial(class_activation, pool=pool, linear=linear)
    else:
        name = layer or last_maps(model)
        find_layer(model, name, maps=True)
        method = "Grad-CAM (Selvaraju et al. 2017)"
        told = f"maps of {name}, weighted by their mean gradient"
        find = partial(grad_cam, layer=name)
    decided = _decide(model, images, target=target, split=split)
    figure = draw_cam(
        photographs(decided.images, scaling=model.scaling),
        find(model.net, decided.images, classes=decided.targets),
        captions=decided.captions,
        aims=decided.aims,
        title=f"{method}\n{told}",
    )
    return Picture(figure, {"method": method, "images": decided.facts}, f"{method}: {told}")


def occlusion(
    path: Path,
    *,
    images: Sequence[str] = (),
    target: str | None = None,
    size: int | None = None,
    stride: int | None = None,
    split: Split | None = None,
    overrides: Sequence[str] = (),
) -> Picture:
    """How sure the network remains when a square of the image is hidden.

    Args:
        path: of the run.
        images: see `show_images`.
        target: the class; else the one that the network sees.
        size: of the square in pixels; else a quarter of the image.
        stride: step of the square; else see `usual_stride`.
        split: whose images.
        overrides: see `open_model`.
    """
    model = open_model(path, overrides=overrides)
    side = min(model.in_shape[1:])
    square = size or max(1, side // 4)
    if square >= side:
        raise UsageError(
            f"a square of {square} hides the whole image", remedy=f"--size below {side}"
        )
    height, width = model.in_shape[1:]
    step = stride or usual_stride(height, width, size=square)
    if step > square:
        raise UsageError(
            f"a step of {step} pixels leaves gaps between squares of {square}",
            remedy="lower --stride or raise --size",
        )
    decided = _decide(model, images, target=target, split=split)
    found = [
        occlude(model.net, image, target=aim, size=square, stride=step)
        for image, aim in zip(torch.split(decided.images, 1), decided.targets, strict=True)
    ]
    pixels = photographs(decided.images, scaling=model.scaling)
    figure = draw_occlusion(
        pixels, found, size=square, captions=decided.captions, aims=decided.aims
    )
    facts = [
        {
            **known,
            "whole": each.whole,
            "lowest": each.lowest,
            "square": {"top": each.square[0], "left": each.square[1], "size": square},
        }
        for known, each in zip(decided.facts, found, strict=True)
    ]
    return Picture(figure, {"size": square, "stride": step, "images": facts})


def confusion(path: Path, *, split: Split | None = None, overrides: Sequence[str] = ()) -> Picture:
    """The confusion matrix of a split."""
    evaluated = open_model(path, overrides=overrides).evaluate(split)
    metrics, classes = evaluated.metrics, evaluated.classes
    figure = confusion_figure(metrics.confusion, classes=classes)
    facts = {
        "split": evaluated.split,
        "classes": list(classes),
        "confusion": [list(row) for row in metrics.confusion],
    }
    text = f"{metrics.correct:,} of {metrics.images:,} {evaluated.split} images right"
    return Picture(figure, facts, text)


def mistakes(
    path: Path,
    *,
    count: int = 24,
    split: Split | None = None,
    overrides: Sequence[str] = (),
) -> Picture:
    """The errors of which the network was most sure.

    Raises:
        UsageError: there is no mistake to show.
    """
    model = open_model(path, overrides=overrides)
    data = find_images(model, split=split)
    with data.opened() as loader:
        wrong = find_mistakes(model.net, loader)
    chosen = wrong.found[:count]
    if not chosen:
        raise UsageError(f"all {data.told} are right", remedy="try another --split")
    images = data.at([mistake.image for mistake in chosen])
    labels = [data.label(mistake.image) for mistake in chosen]
    verb = "is" if len(wrong.found) == 1 else "are"
    total = f"{len(wrong.found):,} of {wrong.images:,} {data.kind} {verb} wrong"
    some = f"; the {len(chosen)} of which the network is most sure"
    title = total + some * (len(chosen) < len(wrong.found))
    figure = draw_mistakes(
        photographs(images, scaling=model.scaling),
        chosen,
        labels=[short(label) for label in labels],
        classes=model.classes,
        title=title,
    )
    facts = [
        {
            "image": label,
            "class": model.classes[each.true],
            "predicted": model.classes[each.predicted],
            "probability": each.probability,
            "class_probability": each.true_probability,
        }
        for label, each in zip(labels, chosen, strict=True)
    ]
    counts = {"split": data.split, "images": wrong.images, "wrong": len(wrong.found)}
    return Picture(figure, {**counts, "mistakes": facts}, total)


@dataclass(frozen=True)
class _Decided:
    """Images (N, C, H, W), what they are and are taken for, and the class a picture is about."""

    images: Tensor
    targets: list[int]
    captions: list[str]
    aims: list[str]
    facts: list[dict[str, object]]


def _decide(
    model: Model, images: Sequence[str], *, target: str | None, split: Split | None
) -> _Decided:
    wanted = None if target is None else class_number(model, target)
    shown = show_images(model, images, split=split)
    classes = model.classes
    with torch.inference_mode():
        probabilities = model.net(shown.images).float().softmax(dim=1).cpu()
    targets, captions, aims, facts = [], [], [], []
    for label, true, row in zip(shown.labels, shown.targets, probabilities, strict=True):
        top = int(row.argmax())
        aim = top if wanted is None else wanted
        aims.append(f"for {classes[aim]} ({float(row[aim]):.1%})")
        lines = [label, f"seen as {best(row, classes)}"]
        lines += [f"is {classes[true]}"] if true is not None else []
        fact: dict[str, object] = {"image": label, "class": None if true is None else classes[true]}
        fact.update(predicted=classes[top], shown=classes[aim], probability=float(row[aim]))
        captions.append("\n".join(lines))
        facts.append(fact)
        targets.append(aim)
    return _Decided(shown.images, targets, captions, aims, facts)
