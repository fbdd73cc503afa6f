"""Features in two dimensions, each image a point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from torch import Tensor

Method = Literal["pca", "tsne"]

_FEWER = 50
"""t-SNE starts from so many principal components, as its authors advise (section 4.2)."""


def embed(features: Tensor, *, method: Method, seed: int = 0) -> tuple[NDArray[np.float64], str]:
    """Two numbers for each image.

    PCA: the two directions of the largest variance. t-SNE (van der Maaten and Hinton 2008) keeps
    neighbours together; distances between groups mean nothing. Its perplexity is 30, or a third
    of the images where there are fewer than 91.

    Args:
        features: (N, F), at least 3 images.
        method: which.
        seed: of the solvers.

    Returns:
        (N, 2), and what it is, in words.
    """
    values = features.double().numpy()
    most = min(values.shape)
    if method == "pca":
        pca = PCA(n_components=min(2, most), random_state=seed)
        points = pca.fit_transform(values)
        shares = " and ".join(f"{share:.1%}" for share in pca.explained_variance_ratio_)
        if points.shape[1] == 1:
            points = np.column_stack([points[:, 0], np.zeros(len(points))])
        return points, f"PCA: the axes explain {shares} of the variance"
    if most > _FEWER:
        values = PCA(n_components=_FEWER, random_state=seed).fit_transform(values)
    perplexity = min(30.0, (len(values) - 1) / 3)
    solver = TSNE(init="pca", perplexity=perplexity, random_state=seed)
    return solver.fit_transform(values), f"t-SNE, perplexity {perplexity:.3g}"


def draw_embedding(
    points: NDArray[np.float64],
    targets: Tensor,
    *,
    classes: Sequence[str],
    wrong: Tensor,
    title: str,
) -> Figure:
    """A scatter of the images in the colours of their classes; a black ring marks mistakes.

    Args:
        points: (N, 2).
        targets: (N,) classes.
        classes: the names.
        wrong: (N,) whether the network takes the image for another class.
        title: above.
    """
    figure = Figure(figsize=(9, 7.2), layout="constrained")
    axes = figure.subplots()
    labels, errors = targets.numpy(), wrong.numpy()
    present = sorted(set(labels.tolist()))
    colours = colormaps["tab10"].colors if len(present) <= 10 else colormaps["tab20"].colors  # type: ignore[attr-defined]
    size = float(np.clip(6000 / len(points), 6, 40))
    for number, each in enumerate(present):
        inside = labels == each
        colour = colours[number % len(colours)]
        name = classes[each] if number < 40 else None
        x, y = points[inside].T
        axes.scatter(x, y, s=size, color=colour, label=name, linewidths=0, alpha=0.8)
    if errors.any():
        x, y = points[errors].T
        axes.scatter(x, y, s=size * 1.6, facecolors="none", edgecolors="black",
                     linewidths=0.7, label=f"mistakes ({errors.sum()})")  # fmt: skip
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8, frameon=False,
                ncols=1 if len(present) <= 20 else 2)  # fmt: skip
    return figure
