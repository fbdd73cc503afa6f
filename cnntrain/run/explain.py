"""Pictures of single decisions: where the network looks, what it confuses, how it is fooled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from cnntrain.core.errors import UsageError
from cnntrain.record.confusion import confusion_figure
from cnntrain.run.evaluate import evaluate_run
from cnntrain.run.images import Shown, find_images, short, show_images
from cnntrain.run.splits import Split
from cnntrain.run.subject import Subject, class_number, find_layer, last_maps, open_subject
from cnntrain.visualize.cam import class_activation, draw_cam, grad_cam
from cnntrain.visualize.fool import best, fast_gradient_sign, sure_noise
from cnntrain.visualize.fooling import draw_fooled
from cnntrain.visualize.mistakes import draw_mistakes, find_mistakes
from cnntrain.visualize.occlusion import draw_occlusion, occlude
from cnntrain.visualize.saliency import draw_saliency
from cnntrain.visualize.saliency import saliency as slopes
from cnntrain.visualize.table import Picture

PASSED_ON = ("flatten", "dropout", "identity")
"""Layers between the last pooling and the last linear layer that change no number in evaluation."""


def saliency(
    path: Path,
    *,
    images: Sequence[str] = (),
    target: str | None = None,
    split: Split | None = None,
    overrides: Sequence[str] = (),
) -> Picture:
    """Which pixels change the score of a class, by default of the one that the network sees."""
    subject = open_subject(path, overrides=overrides)
    shown = show_images(subject, images, split=split)
    decided = _decide(subject, shown, target)
    found = slopes(subject.net, shown.images, classes=decided.targets)
    figure = draw_saliency(subject.pixels(shown.images), found, captions=decided.captions)
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
    subject = open_subject(path, overrides=overrides)
    end = _pooled_end(subject) if layer is None else None
    shown = show_images(subject, images, split=split)
    decided = _decide(subject, shown, target)
    if end is not None:
        pool, linear = end
        method = "Class activation map (Zhou et al. 2016)"
        found = class_activation(
            subject.net, shown.images, classes=decided.targets, pool=pool, linear=linear
        )
        named = f"what {pool} reads, weighted by {linear}"
    else:
        name = layer or last_maps(subject)
        find_layer(subject, name, maps=True)
        method = "Grad-CAM (Selvaraju et al. 2017)"
        found = grad_cam(subject.net, shown.images, classes=decided.targets, layer=name)
        named = f"maps of {name}, weighted by their mean gradient"
    pixels = subject.pixels(shown.images)
    figure = draw_cam(pixels, found, method=method, captions=decided.captions, named=named)
    return Picture(figure, {"method": method, "images": decided.facts}, f"{method}: {named}")


def _pooled_end(subject: Subject) -> tuple[str, str] | None:
    """The pooling and the linear layer that the network ends in, if it does."""
    nodes = list(subject.plan.body.nodes)
    last = nodes.pop()
    if last.node.operation != "linear":
        return None
    above = last
    while nodes and above.node.sources == (nodes[-1].name,):
        above = nodes.pop()
        if above.node.operation == "global_avg_pool":
            return above.name, last.name
        if above.node.operation not in PASSED_ON:
            return None
    return None


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
        stride: step of the square; else such that there are at most 25 places along a side.
        split: whose images.
        overrides: see `open_subject`.
    """
    subject = open_subject(path, overrides=overrides)
    side = min(subject.trained.in_shape[1:])
    square = size or max(1, side // 4)
    if square > side:
        raise UsageError(
            f"a square of {square} hides the whole image", remedy=f"--size below {side}"
        )
    step = stride or min(square, max(1, -(-(max(subject.trained.in_shape[1:]) - square) // 24)))
    if step > square:
        raise UsageError(
            f"a step of {step} pixels leaves gaps between squares of {square}",
            remedy="lower --stride or raise --size",
        )
    shown = show_images(subject, images, split=split)
    decided = _decide(subject, shown, target)
    found = [
        occlude(subject.net, image, target=aim, size=square, stride=step)
        for image, aim in zip(torch.split(shown.images, 1), decided.targets, strict=True)
    ]
    pixels = subject.pixels(shown.images)
    figure = draw_occlusion(pixels, found, size=square, captions=decided.captions)
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
    evaluated = evaluate_run(path, split=split, overrides=overrides)
    metrics, classes = evaluated.metrics, evaluated.trained.classes
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
    subject = open_subject(path, overrides=overrides)
    data = find_images(subject, split=split)
    with data.opened() as loader:
        wrong = find_mistakes(subject.net, loader)
    chosen = wrong.found[:count]
    if not chosen:
        raise UsageError(f"all {data.told} are right", remedy="try another --split")
    images = data.at([mistake.image for mistake in chosen])
    labels = [data.label(mistake.image) for mistake in chosen]
    total = f"{len(wrong.found):,} of {wrong.images:,} {data.kind} are wrong"
    title = f"{total}; the {len(chosen)} of which the network is most sure"
    figure = draw_mistakes(
        subject.pixels(images),
        chosen,
        labels=[short(label) for label in labels],
        classes=subject.classes,
        title=title,
    )
    facts = [
        {
            "image": label,
            "class": subject.classes[each.true],
            "predicted": subject.classes[each.predicted],
            "probability": each.probability,
            "class_probability": each.true_probability,
        }
        for label, each in zip(labels, chosen, strict=True)
    ]
    counts = {"split": data.split, "images": wrong.images, "wrong": len(wrong.found)}
    return Picture(figure, {**counts, "mistakes": facts}, total)


def fool(
    path: Path,
    *,
    images: Sequence[str] = (),
    target: str | None = None,
    split: Split | None = None,
    overrides: Sequence[str] = (),
) -> Picture:
    """Images that are hardly changed and taken for something else, and noise that it is sure of.

    Args:
        path: of the run.
        images: see `show_images`.
        target: what they are to be taken for; else anything else, and the noises for the first
            classes.
        split: whose images.
        overrides: see `open_subject`.
    """
    subject = open_subject(path, overrides=overrides)
    shown = show_images(subject, images, split=split, usual=3)
    aim = None if target is None else class_number(subject, target)
    changed = [
        fast_gradient_sign(subject.net, image, scaling=subject.scaling, target=aim)
        for image in torch.split(shown.images, 1)
    ]
    aims = range(min(2, len(subject.classes))) if aim is None else [aim]
    noises = [
        sure_noise(subject.net, shape=subject.trained.in_shape, scaling=subject.scaling,
                   target=each, seed=each)
        for each in aims
    ]  # fmt: skip
    labels = [*shown.labels, *(f"noise, for {subject.classes[each]}" for each in aims)]
    figure = draw_fooled(changed, noises, labels=labels, classes=subject.classes)
    facts = [
        {
            "image": label,
            "before": best(each.before, subject.classes),
            "after": best(each.after, subject.classes),
            "epsilon": each.epsilon,
            "fooled": each.succeeded,
        }
        for label, each in zip(labels, [*changed, *noises], strict=True)
    ]
    lines = [
        f"{label}: {best(each.before, subject.classes)}, after at most "
        f"{each.epsilon * 255:.0f}/255 a pixel {best(each.after, subject.classes)}"
        + ("" if each.succeeded else ": not fooled")
        for label, each in zip(labels, [*changed, *noises], strict=True)
    ]
    return Picture(figure, {"images": facts}, "\n".join(lines))


@dataclass(frozen=True)
class _Decided:
    """What the network takes some images for, and which class a picture of each is about."""

    targets: list[int]
    captions: list[str]
    facts: list[dict[str, object]]


def _decide(subject: Subject, shown: Shown, target: str | None) -> _Decided:
    wanted = None if target is None else class_number(subject, target)
    classes = subject.classes
    with torch.inference_mode():
        probabilities = subject.net(shown.images).float().softmax(dim=1).cpu()
    captions, facts, aims = [], [], []
    for label, true, row in zip(shown.labels, shown.targets, probabilities, strict=True):
        top = int(row.argmax())
        aim = top if wanted is None else wanted
        lines = [label, f"seen as {best(row, classes)}"]
        lines += [f"is {classes[true]}"] if true is not None else []
        lines += [f"shown: {classes[aim]} ({float(row[aim]):.1%})"] if aim != top else []
        fact: dict[str, object] = {"image": label, "class": None if true is None else classes[true]}
        fact.update(predicted=classes[top], shown=classes[aim], probability=float(row[aim]))
        captions.append("\n".join(lines))
        facts.append(fact)
        aims.append(aim)
    return _Decided(aims, captions, facts)
