"""What a layer gives, given back: figures by their formulas, and next to scikit-learn's R2."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import r2_score

from cnntrain.tasks.layer_reconstruction import ReconstructLayer
from cnntrain.tasks.losses.mse import mse
from cnntrain.tasks.targets import Targets


def test_figures_are_those_of_the_two_halves() -> None:
    """MSE is the mean over units and images; the explained share is R2 weighted by variance."""
    draws = torch.Generator().manual_seed(0)
    outputs, targets = torch.rand(2, 20, 3, 2, 2, generator=draws)
    pairs, images = torch.stack([outputs, targets], dim=1), torch.zeros(20, 1, 8, 8)
    task = ReconstructLayer(targets=Targets("image"))
    criterion = task.criterion(mse())
    sums = task.sums(pairs)
    for part, shown in zip(pairs.split(7), images.split(7), strict=True):
        loss = criterion(part, shown)
        sums.add(part, shown, loss=loss, weight=criterion.weight(shown))
    found = sums.compute()
    off = (outputs - targets).double()
    assert found.images == 20
    assert found.mse == pytest.approx(float(off.square().mean()), rel=1e-6)
    assert found.loss == pytest.approx(0.5 * float(off.square().sum()) / 20, rel=1e-6)
    flat = (each.flatten(1).numpy() for each in (targets, outputs))
    expected = r2_score(*flat, multioutput="variance_weighted")
    assert found.explained == pytest.approx(expected, rel=1e-5)
    assert (task.cost(found, "explained"), task.selected("explained", 0.25)) == (
        pytest.approx(1 - expected, rel=1e-5),
        0.75,
    )
    said = [each.pairs[0][1] for each in task.said(pairs, (), top=1)]
    assert said == pytest.approx(off.square().flatten(1).mean(dim=1).tolist(), rel=1e-6)
    target, output = task.as_pictures(pairs)
    assert target.shape == output.shape == (20, 1, 4, 4)  # three maps of 2 x 2, and an empty tile
    low, high = targets.min(), targets.max()
    torch.testing.assert_close(target[0, 0, :2, 2:], (targets[0, 1] - low) / (high - low))
