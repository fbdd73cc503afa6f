"""Features in two dimensions, each image a point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from torch import Tensor

from cnntrain.core.errors import UsageError
from cnntrain.core.kinds import Positive, Split
from cnntrain.explain import picture
from cnntrain.model.images import find_images
from cnntrain.model.model import Model
from cnntrain.model.taps import Tap, feature_tap, features
from cnntrain.show.image_table import Picture
from cnntrain.tasks.answers import answers_of
from cnntrain.tasks.distances import ranks

Method = Literal["pca", "tsne"]

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442")
"""Those of Okabe and Ito (2008), which colour-blind people tell apart."""
MARKS = ("o", "^", "s", "D", "v", "P", "X")
_NAMED = len(COLOURS) * len(MARKS)

FEATURES = 4096
"""Maps are averaged over regions where a layer gives more numbers than this."""

_FEWER = 30
"""t-SNE starts from so many principal components, as its authors do (section 4.2)."""


def embed(features: Tensor, *, method: Method) -> tuple[NDArray[np.float64], str]:
    """Two numbers for each image.

    PCA: the two directions of the largest variance. t-SNE (van der Maaten and Hinton 2008) keeps
    neighbours together; distances between groups mean nothing. Its perplexity is 30, or a third
    of the images where there are fewer than 91.

    Args:
        features: (N, F), at least 3 images, not all the same.
        method: which.

    Returns:
        (N, 2), and what it is, in words.
    """
    values = features.double().numpy()
    most = min(values.shape)
    if method == "pca":
        pca = PCA(n_components=min(2, most), random_state=0)
        points = pca.fit_transform(values)
        shares = " and ".join(f"{share:.1%}" for share in pca.explained_variance_ratio_)
        points = np.pad(points, ((0, 0), (0, 2 - points.shape[1])))  # one feature has one axis
        return points, f"PCA: the axes explain {shares} of the variance"
    values = (values - values.mean(axis=0)) / values.std(axis=0).max()  # 1e-30 would vanish
    if most > _FEWER:
        values = PCA(n_components=_FEWER, random_state=0).fit_transform(values)
    perplexity = min(30.0, (len(values) - 1) / 3)
    start: Literal["pca", "random"] = "pca" if values.shape[1] > 1 else "random"
    solver = TSNE(init=start, perplexity=perplexity, random_state=0)
    return solver.fit_transform(values), f"t-SNE, perplexity {perplexity:.3g}"


def draw_embedding(
    points: NDArray[np.float64],
    targets: Tensor,
    *,
    classes: Sequence[str],
    wrong: Tensor,
    title: str,
) -> Figure:
    """A scatter of the images, a colour and a mark for each class; mistakes have a black edge.

    Classes beyond those that can be distinguished share a mark and are not named.

    Args:
        points: (N, 2).
        targets: (N,) positions in `classes`, the names.
        wrong: (N,) whether the network takes the image for another class, or has one nearest to it.
    """
    figure = Figure(figsize=(9, 7.2), layout="constrained")
    axes = figure.subplots()
    labels, errors = targets.numpy(), wrong.numpy()
    present = sorted(set(labels.tolist()))
    size = float(np.clip(16000 / len(points), 12, 45))
    named = []
    for number, each in enumerate(present):
        inside = labels == each
        mark = MARKS[number // len(COLOURS) % len(MARKS)]
        look: dict[str, Any] = {"s": size, "marker": mark, "color": COLOURS[number % len(COLOURS)]}
        edges = ["black" if error else "none" for error in errors[inside]]
        axes.scatter(*points[inside].T, linewidths=0.8, **{**look, "edgecolors": edges})
        if number < _NAMED:
            named.append((axes.scatter([], [], **look), classes[each]))
    if errors.any():
        mistaken = axes.scatter([], [], s=size, color="white", edgecolors="black", linewidths=0.8)
        named.append((mistaken, f"mistakes ({errors.sum()})"))
    axes.set_title(title, fontsize=10, loc="left", parse_math=False)
    axes.set_xticks([])
    axes.set_yticks([])
    handles, names = zip(*named, strict=True)
    legend = axes.legend(handles, names, loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8,
                         frameon=False, ncols=1 if len(named) <= 25 else 2)  # fmt: skip
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


@picture("embedding", forms=("classes", "distances"))
def embedding(
    *,
    model: Model,
    layer: str | None = None,
    method: Literal["tsne", "pca"] = "tsne",
    split: Split | None = None,
    limit: Positive = 1000,
) -> Picture:
    """Images as points, near where features are alike.

    The features are those of a layer, by default what the last linear layer reads, or the vectors
    that are learnt.

    Args:
        method: how.
    """
    answer = Tap(model.plan.body.nodes[-1].name)
    has_vectors = model.named.form == "distances"
    tap = feature_tap(model, layer)
    data = find_images(model, split=split, limit=limit)
    if len(data.positions) < 3:
        raise UsageError(f"{data.described} are too few to embed", remedy="raise --limit")
    with data.opened() as loader:
        found, targets = features(model.net, loader, taps=[tap, answer], limit=FEATURES)
    if not found[tap].std(dim=0).any():
        raise UsageError(
            f"{tap} gives the same for all {data.described}",
            remedy="`cnntrain diagnose RUN --check units` looks for the cause",
        )
    wrong = found[answer].argmax(dim=1) != targets
    if has_vectors:
        found[answer] = answers_of(model.task, found[answer])
        wrong = ranks(found[answer], targets) > 0
    points, what = embed(found[tap], method=method)
    title = f"{tap} ({found[tap].shape[1]} features) of {data.described}\n{what}"
    figure = draw_embedding(points, targets, classes=model.classes, wrong=wrong, title=title)
    facts = [
        {"image": data.label(number), "class": model.classes[target], "x": x, "y": y}
        for number, (target, (x, y)) in enumerate(
            zip(targets.tolist(), points.tolist(), strict=True)
        )
    ]
    known = {"layer": str(tap), "split": data.split, "method": method, "points": facts}
    return Picture(figure, known, what)
