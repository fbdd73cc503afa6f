"""Two dimensions out of many."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cnntrain.explain.embedding import draw_embedding, embed

FEATURES = torch.randn(40, 6, generator=torch.Generator().manual_seed(1)) * torch.arange(1, 7)


def test_pca_is_the_singular_vectors_of_the_largest_values() -> None:
    points, told = embed(FEATURES, method="pca")
    centred = (FEATURES - FEATURES.mean(dim=0)).double()
    u, s, _ = torch.linalg.svd(centred, full_matrices=False)
    expected = (u * s)[:, :2].numpy()
    np.testing.assert_allclose(np.abs(points), np.abs(expected), atol=1e-5)
    shares = (s**2 / (s**2).sum()).tolist()
    assert f"{shares[0]:.1%} and {shares[1]:.1%} of the variance" in told


def test_one_feature_has_one_axis() -> None:
    points, _ = embed(FEATURES[:, :1], method="pca")
    assert points.shape == (40, 2)
    assert not points[:, 1].any()


@pytest.mark.parametrize(("features", "scale"), [(60, 1.0), (60, 1e-30), (1, 1.0)])
def test_tsne_keeps_groups_together(features: int, scale: float) -> None:
    """Two groups far apart: every point's nearest neighbour is of its own group."""
    groups = torch.arange(24) % 2
    values = scale * (torch.randn(24, features) + 100 * groups[:, None])
    points, told = embed(values, method="tsne")
    assert told == "t-SNE, perplexity 7.67"
    distances = torch.cdist(torch.from_numpy(points).double(), torch.from_numpy(points).double())
    distances.fill_diagonal_(torch.inf)
    assert torch.equal(groups[distances.argmin(dim=1)], groups)


def test_the_legend_names_the_classes_that_are_there() -> None:
    targets, wrong = torch.tensor([0, 2, 2, 0]), torch.tensor([True, False, False, False])
    figure = draw_embedding(
        np.eye(4)[:, :2], targets, classes=["ant", "bee", "cat"], wrong=wrong, title="t"
    )
    [axes] = figure.axes
    legend = axes.get_legend()
    assert legend is not None
    assert [each.get_text() for each in legend.get_texts()] == ["ant", "cat", "mistakes (1)"]
