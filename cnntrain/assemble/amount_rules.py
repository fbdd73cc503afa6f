"""The recipe by arithmetic: how much of something there is, where that can be reckoned.

What some right recipe has is no remark, or a suspicion.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import correlation

from cnntrain.arch.plan import Plan, PlannedNode
from cnntrain.assemble.arch_edits import overriding, with_parameter
from cnntrain.assemble.horizon_rules import TrainImages
from cnntrain.assemble.withheld import withheld
from cnntrain.config.loaded import TRANSFORMS_AT, Loaded
from cnntrain.core.remark import Remark, at_line
from cnntrain.show.words import listed

FEW_IMAGES, FEW_VALUES = 4, 16
"""Images, and values of a channel, that batch normalisation takes its mean over, for a suspicion;
half of the images, or a quarter of the values, for a fault. With 2 images in a part ResNet-50 has
10 points more error (Wu and He 2018, figure 1); the variance of n values is off by sqrt(2 / n)."""

FEW_OF_CLASS = 10
"""Training images of each class, on average, below which a network that starts from random weights
is suspected to know too few, or is sure to at half of them. Few-shot learning begins at five, with
weights from elsewhere."""

NEARLY = 0.9
"""Share of all images that a split sets apart where shares must have been exchanged."""

UNEVEN, AGAINST = 1.5, 0.3
"""Times that the largest class has of the smallest one's images, and the correlation of the
logarithms of weights and counts, from which on weights make uneven classes more so; balanced ones
have -1 (King and Zeng 2001)."""

MORE_UNEVEN, MUCH_MORE = 8.0, 30.0
"""Times that the largest product of weight and count is more above the smallest one than the counts
alone, for a suspicion and a fault."""

SOME_LEFT, LITTLE_LEFT = 0.25, 0.1
"""Of ln C, that label smoothing leaves between guessing and the best answer: for a suspicion, and
for a fault. Szegedy et al. 2016 smooth by 0.1, which leaves 80 % of it with 10 classes."""

HIDDEN, MOST_HIDDEN = 0.8, 0.9
"""Probability of dropout, for a suspicion and a fault. Srivastava et al. 2014, appendix A.4, keep
0.5 to 0.8 of the hidden units."""

KEPT = 0.05
"""Share of all paths that dropout layers in a row leave."""

QUICK, SLOW = 20.0, 40.0
"""Steps in which decay alone shrinks weights to 1/e, 1 / (rate x decay): fewer are a fault, or a
suspicion. ResNet-20 has 2,000 (He et al. 2015); the sprint of this repository 75."""

STRONGER = 0.62
"""Share of a mixed image that is of the stronger one of both, on average: 0.9 with an alpha of 0.2,
and 0.75 with 1, the values of the papers; 0.54 with 50."""

USUAL = 2000
"""Steps that the proposed decay has."""


def amounts(loaded: Loaded, plan: Plan, counted: TrainImages | None = None) -> list[Remark]:
    """All remarks on amounts; `counted` is None before the images are there."""
    return [
        *_few_values(loaded, plan),
        *(_few_images(loaded, counted) if counted is not None else ()),
        *(_class_weights(loaded, counted.counts) if counted is not None else ()),
        *_smoothing(loaded, plan),
        *_dropout(plan),
        *_decay(loaded),
        *_mixing(loaded),
    ]


def _few_images(loaded: Loaded, counted: TrainImages) -> Iterator[Remark]:
    """Too few of each class to say what others look like, without anything learnt before; or
    nearly all of them set apart."""
    classes, kept = len(counted.counts), withheld(loaded)
    is_few = counted.images < FEW_OF_CLASS * classes
    if classes < 2 or loaded.config.finetune is not None or not (is_few or kept.share >= NEARLY):
        return
    what = f", which is what {kept.key} leaves" if kept.key else ""
    yield Remark(
        "too_few_images",
        f"there are {counted.images:,} training images{what}, of {classes} classes",
        f"about {counted.images / classes:.2g} of each class",
        "train on more of the images"
        if kept.key
        else "collect more, or start from a pretrained network",
        is_certain=kept.share >= NEARLY or counted.images < FEW_OF_CLASS / 2 * classes,
        overrides=kept.overrides,
    )


def _few_values(loaded: Loaded, plan: Plan) -> Iterator[Remark]:
    """Batch normalisation over the images of a part of the batch and the positions of a map."""
    train = loaded.train
    images = loaded.config.data.batch // train.accumulate
    norms = [
        (images * math.prod(node.out_shape[1:]), name, node)
        for name, node in plan.walk()
        if node.node.operation == "batch_norm"
    ]
    is_frozen = loaded.config.finetune is not None
    if not norms or is_frozen:
        return
    values, name, node = min(norms, key=lambda norm: norm[0])
    if images > FEW_IMAGES and values >= FEW_VALUES:
        return
    cut = train.accumulate > 1
    where = f" (train.accumulate cuts {loaded.config.data.batch} into {train.accumulate})"
    fit = max(32, loaded.config.data.batch)
    yield Remark(
        "few_values_in_batch_norm",
        f"batch normalisation '{name}'{_place(node)} takes its mean over {values} values of "
        f"{images} images{where if cut else ''}",
        f"a variance of {values} values is off by {math.sqrt(2 / max(values, 1)):.0%}, and "
        "evaluation uses another one",
        "use batches of 32 images or more, or group_norm",
        is_certain=images <= FEW_IMAGES // 2 or values <= FEW_VALUES // 4,
        overrides=(
            *((f"data.batch_size={fit}",) if fit != loaded.config.data.batch else ()),
            *(("train.accumulate=1",) if cut else ()),
        ),
    )


def _place(node: PlannedNode) -> str:
    return at_line(node.node.problem("", "").place)


def _class_weights(loaded: Loaded, counts: Sequence[int]) -> Iterator[Remark]:
    """Weights that are heavy where images are many, or 0."""
    at, given = "train.loss.class_weights", loaded.train.loss.parameters.get("class_weights")
    if given in (None, "balanced") or len(given) != len(counts) or not all(counts):
        return
    unweighted = [number for number, weight in enumerate(given) if weight == 0]
    is_against = not unweighted and _is_against(given, counts)
    pulls = [weight * count for weight, count in zip(given, counts, strict=True)]
    more = max(pulls) / max(min(pulls), 1e-300) * min(counts) / max(counts)
    most, least = (pulls.index(find(pulls)) for find in (max, min))
    if unweighted:
        headline = f"the class weight of {listed(unweighted)} is 0: the class is never learnt"
    elif is_against:
        headline = "class weights are large where images are many, and small where they are few"
    elif more >= MORE_UNEVEN:
        headline = f"class weights make the classes {more:.2g} times more uneven than they are"
    else:
        return
    yield Remark(
        "class_weights_upside_down",
        headline,
        f"class {most} has weight {given[most]:g} and {counts[most]:,} training images, "
        f"class {least} {given[least]:g} and {counts[least]:,}",
        f"set {at} to balanced, which is inverse to the number of images",
        is_certain=bool(unweighted) or is_against or more >= MUCH_MORE,
        overrides=(f"{at}=balanced",),
    )


def _is_against(weights: Sequence[float], counts: Sequence[int]) -> bool:
    """Whether weights, none of them 0, are large where images are many."""
    if max(counts) < UNEVEN * min(counts) or max(weights) == min(weights):
        return False
    logs = [[math.log(each) for each in numbers] for numbers in (weights, counts)]
    return correlation(*logs) > AGAINST


def _smoothing(loaded: Loaded, plan: Plan) -> Iterator[Remark]:
    """The loss of the best answer, against that of guessing, ln C."""
    smoothing = float(loaded.train.loss.parameters.get("label_smoothing") or 0.0)
    classes = plan.description.facts.num_classes or 0
    if not smoothing or classes < 2:
        return
    other = smoothing / classes
    right = 1 - smoothing + other
    best = -right * math.log(right) - (classes - 1) * other * math.log(other)
    left = 1 - best / math.log(classes)
    if left < SOME_LEFT:
        yield Remark(
            "too_much_smoothing",
            f"label smoothing of {smoothing:g} leaves {left:.0%} of the loss to be learnt",
            f"guessing among {classes} classes has a loss of {math.log(classes):.3g}, a perfect "
            f"answer one of {best:.3g}",
            "set train.loss.label_smoothing to 0.1",
            is_certain=left < LITTLE_LEFT,
            overrides=("train.loss.label_smoothing=0.1",),
        )


def _dropout(plan: Plan) -> Iterator[Remark]:
    """What dropout leaves of a layer, and of all paths through several."""
    layers = [
        (name, node, float(node.keywords["p"]))
        for name, node in plan.walk()
        if node.node.operation in ("dropout", "dropout2d", "dropconnect")
    ]
    if not layers:
        return
    name, node, p = min(layers, key=lambda layer: _units(layer[1]) * (1 - layer[2]))
    few, bits = _units(node) * (1 - p), math.log2(max(2, plan.description.facts.num_classes or 2))
    if few < bits and p < HIDDEN:
        yield Remark(
            "too_much_dropout",
            f"'{name}'{_place(node)} leaves {few:.2g} of {_units(node)} values in a training step",
            f"{plan.description.facts.num_classes} classes are {bits:.2g} bits",
            f"give the layer above '{name}' more outputs, or set its `p` to 0",
            is_certain=False,
            overrides=with_parameter(node.node, "p", 0.0),
        )
        return
    name, node, p = max(layers, key=lambda layer: layer[2])
    kept = math.prod(1 - each for _, _, each in layers)
    if p < HIDDEN and kept >= KEPT:
        return
    is_one = p >= HIDDEN
    what = f"'{name}'{_place(node)} hides {p:.0%} of what it reads"
    yield Remark(
        "too_much_dropout",
        what if is_one else f"{len(layers)} dropout layers leave {kept:.1%} of all paths",
        f"in a training step {kept:.2g} of the paths through all {len(layers)} dropout layers are "
        "there",
        "lower `p` of the dropout layers: 0.5 is much, 0.2 to 0.3 is usual before the last layer",
        is_certain=p >= MOST_HIDDEN,
        overrides=_less_dropout(layers),
    )


def _units(node: PlannedNode) -> int:
    """What is hidden as one: a value, or with dropout2d a map."""
    is_map = node.node.operation == "dropout2d"
    return node.out_shape[0] if is_map else math.prod(node.out_shape)


def _less_dropout(layers: Sequence[tuple[str, PlannedNode, float]]) -> tuple[str, ...]:
    nodes = {node.node.path: node.node for _, node, p in layers if p > 0.3}
    return tuple(each for node in nodes.values() for each in with_parameter(node, "p", 0.3))


def _decay(loaded: Loaded) -> Iterator[Remark]:
    """Steps in which weights shrink to 1/e if nothing else moves them: 1 / (rate x decay)."""
    optimizer = loaded.train.optimizer
    rate, decay = optimizer.rate * loaded.lr_scale, optimizer.weight_decay
    if optimizer.name == "sgd":
        rate /= max(1e-9, 1 - float(optimizer.parameters["momentum"]))
    elif optimizer.name not in ("adamw", "lion", "muon"):
        return  # the gradient's size decides there
    if rate * decay * SLOW <= 1:
        return
    usual = float(f"{1 / (USUAL * rate):.0e}")
    yield Remark(
        "too_much_decay",
        f"weight decay alone shrinks the weights to a third in {max(1, round(1 / (rate * decay)))} "
        "steps",
        f"in each step they lose {min(1.0, rate * decay):.0%}: the rate {rate:.2g}"
        + (", momentum included," if optimizer.name == "sgd" else "")
        + f" times {decay:g}",
        f"set train.optimizer.weight_decay to about {usual:g}",
        is_certain=rate * decay * QUICK > 1,
        overrides=(f"train.optimizer.weight_decay={usual:g}",),
    )


def _mixing(loaded: Loaded) -> Iterator[Remark]:
    """Mixed images of which each is about half of one and half of another one."""
    steps = loaded.config.data.transforms.train
    for place, step in enumerate(steps):
        if step.name not in ("mixup", "cutmix"):
            continue
        alpha, often = (float(step.parameters[key]) for key in ("alpha", "probability"))
        # E[max(x, 1 - x)] of Beta(a, a) is 1/2 + 2^(-2a) / (a B(a, a))
        beta = 2 * math.lgamma(alpha) - math.lgamma(2 * alpha)
        stronger = 0.5 + math.exp(-2 * alpha * math.log(2) - math.log(alpha) - beta)
        if stronger < STRONGER and often > 0.5:
            usual = {"mixup": 0.2, "cutmix": 1.0}[step.name]
            changed = [
                {each.name: {**each.parameters, **({"alpha": usual} if each is step else {})}}
                for each in steps
            ]
            where = at_line(loaded.document.places.values.get((*TRANSFORMS_AT, "train", place)))
            yield Remark(
                "too_much_augmentation",
                f"'{step.name}'{where} makes nearly every image about half of another one",
                f"with an alpha of {alpha:g} the stronger one of both has {stronger:.0%} of a "
                f"mixed image on average, and {often:.0%} of the batches are mixed",
                f"set its alpha to {usual:g}",
                is_certain=False,
                overrides=(overriding((*TRANSFORMS_AT, "train"), changed),),
            )
