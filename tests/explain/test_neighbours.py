"""Nearest images against scikit-learn's."""

from __future__ import annotations

import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from cnntrain.explain.neighbours import Distance, nearest


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_as_scikit_learn(distance: Distance) -> None:
    features, queries = torch.randn(60, 7), torch.randn(4, 7)
    features[17] = queries[2]
    values, positions = nearest(queries, features, distance=distance, count=9)
    theirs = NearestNeighbors(n_neighbors=9, metric=distance, algorithm="brute")
    theirs.fit(features.double().numpy())
    expected, order = theirs.kneighbors(queries.double().numpy())
    assert positions.tolist() == order.tolist()
    torch.testing.assert_close(values, torch.from_numpy(expected), atol=1e-7, rtol=1e-7)
    assert int(positions[2, 0]) == 17
    assert float(values[2, 0]) == pytest.approx(0, abs=1e-12)


def test_fewer_images_than_asked_for_and_a_vector_of_zeros() -> None:
    values, positions = nearest(torch.zeros(1, 3), torch.eye(3), distance="cosine", count=9)
    assert positions.shape == (1, 3)
    assert values.tolist() == [[1.0, 1.0, 1.0]]
