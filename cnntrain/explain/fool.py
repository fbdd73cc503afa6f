"""Images that fool the network: hardly changed ones, and noise that it is sure of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from cnntrain.core.errors import UsageError
from cnntrain.core.kinds import Names, Split
from cnntrain.explain import picture
from cnntrain.explain.shown import Shown, best, class_number, probabilities_of, show_images
from cnntrain.model.model import Model
from cnntrain.show.image_table import Cell, Picture, draw_table
from cnntrain.show.pixels import Scaling, coloured, signed

STEPS = tuple(k / 255 for k in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64))
"""Sizes of a change that are tried, in pixels from 0 to 1."""
SURE = 0.996
"""Nguyen et al. 2015, figure 1: images that mean nothing, of which the network is so sure."""

CHANGED, NOISES = 3, 2
"""Pictures of each kind where none is named."""


@dataclass(frozen=True)
class Fooled:
    """One image, changed until the network changes its mind.

    Args:
        pixels: (1, C, H, W) from 0 to 1.
        changed: the same, changed.
        before: (classes,) probabilities; `after` the same way.
        epsilon: the largest change of a pixel.
        succeeded: whether the decision changed.
    """

    pixels: Tensor
    changed: Tensor
    before: Tensor
    after: Tensor
    epsilon: float
    succeeded: bool


def fast_gradient_sign(
    net: nn.Module, image: Tensor, *, scaling: Scaling, target: int | None = None
) -> Fooled:
    """The smallest step along the sign of the loss's gradient that changes the decision.

    `x + epsilon sign(d loss / d x)`: Goodfellow, Shlens, Szegedy, "Explaining and Harnessing
    Adversarial Examples", 2015, section 4. The loss is that of the class which the network sees,
    which is made worse; with a target it is that of the target, which is made better.

    Args:
        net: gives scores (N, classes), in evaluation mode.
        image: (1, C, H, W), normalised.
        scaling: its normalisation; epsilon is in pixels, which stay between 0 and 1.
        target: the class to be taken for.
    """
    pixels = scaling.undo(image).clamp(0, 1)
    seen = pixels.detach().clone().requires_grad_()
    with torch.enable_grad():
        scores = net(scaling.redo(seen)).float()
        before = scores.detach().softmax(dim=1)[0]
        aim = int(before.argmax()) if target is None else target
        loss = functional.cross_entropy(scores, torch.tensor([aim], device=scores.device))
        (slope,) = torch.autograd.grad(loss, seen)
    direction = slope.sign() * (1 if target is None else -1)
    changed, after, epsilon, succeeded = pixels, before, 0.0, False
    for epsilon in STEPS:
        changed = (pixels + epsilon * direction).clamp(0, 1)
        after = probabilities_of(net, scaling.redo(changed))[0]
        decision = int(after.argmax())
        succeeded = decision != aim if target is None else decision == target
        if succeeded:
            break
    return Fooled(pixels, changed, before, after, epsilon, succeeded)


def grey_noise(shape: tuple[int, ...], *, seed: int) -> Tensor:
    """Pixels (1, C, H, W) around grey, with a standard deviation of 0.1."""
    generator = torch.Generator().manual_seed(seed)
    return (0.5 + 0.1 * torch.randn(1, *shape, generator=generator)).clamp(0, 1)


def sure_noise(
    net: nn.Module, noise: Tensor, *, scaling: Scaling, target: int, steps: int = 200
) -> Fooled:
    """Noise, climbed up the score of a class until the network is sure of it.

    Gradient ascent, as in Nguyen, Yosinski, Clune, "Deep Neural Networks are Easily Fooled", 2015,
    from a random image. Each step moves the pixels by 1/255 (root mean square), so that the
    image stays as close as can be to the noise it began as.

    Args:
        net: gives scores (N, classes), in evaluation mode.
        noise: pixels (1, C, H, W) from 0 to 1.
        scaling: the normalisation.
        target: the class; it succeeded if the probability is at least `SURE`.
        steps: at most.
    """
    first = noise
    before = probabilities_of(net, scaling.redo(noise))[0]
    for _ in range(steps):
        seen = noise.detach().clone().requires_grad_()
        with torch.enable_grad():
            score = net(scaling.redo(seen)).float().log_softmax(dim=1)[0, target]
            (slope,) = torch.autograd.grad(score, seen)
        if float(score.detach()) >= math.log(SURE):
            break
        step = slope / slope.square().mean().sqrt().clamp_min(1e-30) / 255
        noise = (noise + step).clamp(0, 1)
    after = probabilities_of(net, scaling.redo(noise))[0]
    largest = float((noise - first).abs().amax())
    return Fooled(first, noise, before, after, largest, bool(after[target] >= SURE))


@picture("fool", forms=("classes",))
def fool(
    *,
    model: Model,
    images: Names = (),
    class_: str | None = None,
    split: Split | None = None,
) -> Picture:
    """Images hardly changed, and noise, that fool the network.

    Args:
        class_: what to be taken for. Default: anything else; noise for the first classes.

    Raises:
        UsageError: the images are seen as the class already.
    """
    aim = None if class_ is None else class_number(model, class_)
    shown = show_images(model, images, split=split, usual=CHANGED if aim is None else 4 * CHANGED)
    every = list(range(len(shown.labels)))
    kept = every if aim is None else _others(model, shown, aim, named=bool(images))
    found = [
        fast_gradient_sign(model.net, image, scaling=model.scaling, target=aim)
        for image in torch.split(shown.images[kept], 1)
    ]
    noise = grey_noise(model.in_shape, seed=0).to(model.device)
    seen = int(probabilities_of(model.net, model.scaling.redo(noise))[0].argmax())
    others = [each for each in range(len(model.classes)) if each != seen]
    aims = others[:NOISES] if aim is None else [aim]
    found += [sure_noise(model.net, noise, scaling=model.scaling, target=each) for each in aims]
    labels = [shown.labels[each] for each in kept]
    labels += [f"noise, for {model.classes[each]}" for each in aims]
    why = [*[""] * len(kept), *[f": below {SURE:.1%}"] * len(aims)]
    return _pictured(found, labels=labels, why=why, classes=model.classes)


def _others(model: Model, shown: Shown, aim: int, *, named: bool) -> list[int]:
    """Those that are not taken for a class already; where none is named, a few."""
    rows = probabilities_of(model.net, shown.images).cpu()
    other = [number for number, row in enumerate(rows) if int(row.argmax()) != aim]
    if (named and len(other) < len(rows)) or not other:
        first = next(number for number in range(len(rows)) if number not in other)
        raise UsageError(
            f"{shown.labels[first]} is seen as {best(rows[first], model.classes)} already",
            remedy="choose another --class" + (" or --image" if named else ""),
        )
    return other if named else other[:CHANGED]


def _pictured(
    found: Sequence[Fooled], *, labels: Sequence[str], why: Sequence[str], classes: Sequence[str]
) -> Picture:
    """A row per image: what it was, what was added, what it became."""
    facts, rows, lines = [], [], []
    for each, label, reason in zip(found, labels, why, strict=True):
        was, became = (best(row, classes) for row in (each.before, each.after))
        fact = {"image": label, "before": was, "after": became}
        facts.append({**fact, "epsilon": each.epsilon, "fooled": each.succeeded})
        failure = [] if each.succeeded else [f"not fooled{reason}"]
        size = f"at most {each.epsilon * 255:.0f}/255 a pixel"
        first = Cell(coloured(each.pixels)[0], f"{label}\n{was}")
        added = Cell(signed(each.changed - each.pixels)[0], size)
        rows.append([first, added, Cell(coloured(each.changed)[0], "\n".join([became, *failure]))])
        lines.append(f"{label}: {was}, after {size} {'; '.join([became, *failure])}")
    figure = draw_table(
        rows,
        title="Images that fool the network: a step along the sign of the gradient\n"
        f"(Goodfellow et al. 2015), and noise of which it is at least {SURE:.1%} sure\n"
        "(Nguyen et al. 2015)",
        headings=["before", "added, amplified; grey: 0", "after"],
        side=2.0,
    )
    return Picture(figure, {"sure": SURE, "images": facts}, "\n".join(lines))
