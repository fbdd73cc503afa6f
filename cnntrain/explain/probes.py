"""Linear classifiers on the features of each layer: how much depth does for the classes.

Zeiler and Fergus 2014, table 7; Alain and Bengio, "Understanding Intermediate
Layers Using Linear Classifier Probes", 2016.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from cnntrain.core.errors import UsageError
from cnntrain.core.kinds import Names, Positive, Split
from cnntrain.explain import picture
from cnntrain.model.find_layers import outermost
from cnntrain.model.images import find_images
from cnntrain.model.model import Model
from cnntrain.model.taps import Tap, feature_tap, features
from cnntrain.show.image_table import Picture
from cnntrain.show.tables import columns

DECAY = 1e-3
"""Weight decay of the classifiers: `mean loss + DECAY / 2 |w|^2` over standardised features."""
_STEPS = 400
PROBED = 512
"""Maps are averaged over regions where a layer gives more numbers than this."""


@dataclass(frozen=True)
class Probe:
    """How well a layer's features, so many, tell the classes apart.

    `train_error` is that on the images that the classifier was fitted to, `error` that on the
    others; `converged`: whether the fit ended before its last step.
    """

    layer: str
    features: int
    train_error: float
    error: float
    converged: bool


def probe(layer: str, *, train: tuple[Tensor, Tensor], held_out: tuple[Tensor, Tensor]) -> Probe:
    """Fit a multinomial logistic regression, and count its errors.

    Features are standardised by the fitted images; constant ones are left out. Both parts are
    features (N, F) and classes (N,), those of training of at least two classes.
    """
    values, targets = train[0].double().numpy(), train[1].numpy()
    others, truth = held_out[0].double().numpy(), held_out[1].numpy()
    mean, spread = values.mean(axis=0), values.std(axis=0)
    varies = spread > 1e-8 * max(float(np.abs(mean).max()), 1e-30)
    if not varies.any():  # the layer gives the same for every image: only guessing is left
        often = np.bincount(targets).argmax()
        fitted, error = (float((each != often).mean()) for each in (targets, truth))
        return Probe(layer, values.shape[1], fitted, error, converged=True)
    values, others = (
        (each[:, varies] - mean[varies]) / spread[varies] for each in (values, others)
    )
    model = LogisticRegression(C=1 / (DECAY * len(values)), max_iter=_STEPS, tol=1e-3)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(values, targets)
    fitted, error = (
        1 - float(model.score(each, right)) for each, right in ((values, targets), (others, truth))
    )
    converged = not any(issubclass(each.category, ConvergenceWarning) for each in said)
    return Probe(layer, train[0].shape[1], fitted, error, converged)


def margin(error: float, images: int) -> float:
    """Half the width of the interval in which an error lies with 95 % certainty.

    `1.96 sqrt(p (1 - p) / n)`, of the normal approximation of the binomial distribution; where no
    image, or every one, is wrong, `3 / n` (Hanley and Lippman-Hand 1983).
    """
    return min(1.0, 1.96 * math.sqrt(error * (1 - error) / images) or 3 / images)


def draw_probes(
    probes: Sequence[Probe], *, split: str, own: float, images: int, title: str
) -> Figure:
    """The errors layer by layer, with the network's `own` error as a line.

    Both are those of a split of so many images, which error bars follow from.
    """
    figure = Figure(figsize=(max(6.0, 2.5 + 0.32 * len(probes)), 4.6), layout="constrained")
    axes = figure.subplots()
    places = range(len(probes))
    axes.plot(places, [p.train_error for p in probes], "o:", color="0.6", label="probe, training")
    bars = [margin(p.error, images) for p in probes]
    axes.errorbar(places, [p.error for p in probes], bars, fmt="o-", color="C0", capsize=2,
                  elinewidth=1, label=f"probe, {split} (bars: 95 % certainty)")  # fmt: skip
    axes.axhline(own, color="C3", linewidth=1, label=f"the network itself, {split}")
    axes.set_xticks(list(places), [p.layer for p in probes], rotation=60, ha="right", fontsize=8)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_ylabel("error")
    axes.grid(axis="y", color="0.9")
    axes.set_axisbelow(True)
    figure.legend(frameon=False, fontsize=8, ncols=2, loc="outside lower center")
    axes.set_title(title, fontsize=10, loc="left", parse_math=False)
    return figure


@picture("probe", command=True, forms=("classes",))
def linear_probes(
    *,
    model: Model,
    layers: Names = (),
    split: Split | None = None,
    limit: Positive = 2000,
) -> Picture:
    """Fit a linear classifier to each layer's features.

    Features are what a layer gives for an image; maps are averaged over regions, to at most 512
    numbers.

    Fitted to training images, judged by the others: the errors show how much each layer does for
    telling the classes apart.

    Args:
        layers: default: all outermost ones that change anything in evaluation. Repeatable.

    Raises:
        UsageError: the split is the training images themselves, or these are all of one class.
    """
    taps = [feature_tap(model, name) for name in layers or outermost(model)]
    answer = Tap(model.plan.body.nodes[-1].name)
    both = list(dict.fromkeys([*taps, answer]))
    data = find_images(model, split=split, limit=limit)
    if data.split == "train":
        raise UsageError(
            "a probe is judged by images that it was not fitted to",
            remedy="choose another --split, or hold some out: -s data.split.validation=0.2",
        )
    with data.opened() as loader:
        held, truth = features(model.net, loader, taps=both, limit=PROBED)
    fitted = find_images(model, split="train", limit=limit)
    with fitted.opened() as loader:
        known, targets = features(model.net, loader, taps=taps, limit=PROBED)
    if len(set(targets.tolist())) < 2:
        raise UsageError(f"{fitted.described} are all of one class", remedy="raise --limit")
    error = float((held[answer].argmax(dim=1) != truth).float().mean())
    found = tuple(
        probe(str(tap), train=(known[tap], targets), held_out=(held[tap], truth)) for tap in taps
    )
    title = f"Linear probes, fitted to {fitted.described};\nerror on {data.described}"
    count = len(truth)
    figure = draw_probes(found, split=data.split, own=error, images=count, title=title)
    facts = {
        "split": data.split,
        "images": count,
        "error": error,
        "margin": margin(error, count),
        "layers": [{**vars(each), "margin": margin(each.error, count)} for each in found],
    }
    shapes = {str(tap): tuple(model.layers[tap.layer].out_shape) for tap in taps}
    note = f"±: 95 % certainty with {count:,} {data.split} images"
    if any(each.features < math.prod(shapes[each.layer]) for each in found):
        note = f"features: maps are averaged over regions, to at most {PROBED} numbers\n{note}"
    rows = [["layer", "gives", "features", "error in training", f"error in {data.split}"]]
    for each in found:
        shape, share = " x ".join(map(str, shapes[each.layer])), f"{each.train_error:.2%}"
        bounded = _with_margin(each.error, count)
        rows.append([each.layer, shape, f"{each.features:,}", share, bounded])
    rows.append(["the network", "", "", "", _with_margin(error, count)])
    text = f"{note}\n{title}".replace(";\n", "; ")
    return Picture(figure, facts, text, columns(rows, right=range(1, 5)))


def _with_margin(error: float, images: int) -> str:
    return f"{error:.2%} ± {margin(error, images):.1%}"
