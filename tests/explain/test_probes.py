"""Linear probes on features of which the answer is known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cnntrain.explain.probes import Probe, draw_probes, margin, probe

TARGETS = torch.arange(300) % 3


def blobs(distance: float) -> tuple[Tensor, Tensor]:
    """Three classes at the corners of a triangle, with unit variance."""
    centres = distance * torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    return centres[TARGETS] + torch.randn(300, 2), TARGETS


def test_what_is_far_apart_is_told_apart() -> None:
    found = probe("fc", train=blobs(20), held_out=blobs(20))
    assert (found.layer, found.features, found.converged) == ("fc", 2, True)
    assert found.train_error == found.error == 0


def test_what_is_a_matter_of_parity_is_not_linear() -> None:
    """Exclusive or, mirrored along both axes: every line is right in half of the cases."""
    halves = []
    for _ in ("train", "held out"):
        corner = torch.rand(250, 2) + 0.1
        values = torch.cat([corner * torch.tensor(s) for s in ([1, 1], [1, -1], [-1, 1], [-1, -1])])
        halves.append((values, ((values[:, 0] > 0) ^ (values[:, 1] > 0)).long()))
    assert probe("fc", train=halves[0], held_out=halves[1]).error == pytest.approx(0.5, abs=0.06)


def test_scale_and_offset_of_features_do_not_matter() -> None:
    train, held = blobs(2), blobs(2)
    plain = probe("fc", train=train, held_out=held)
    factors, offset = torch.tensor([1e-3, 50.0]), torch.tensor([3.0, -40.0])
    moved = [(values * factors + offset, targets) for values, targets in (train, held)]
    assert probe("fc", train=moved[0], held_out=moved[1]).error == pytest.approx(plain.error)
    assert 0 < plain.error < 0.5


def test_a_layer_that_is_constant_leaves_guessing() -> None:
    targets = torch.tensor([0, 1, 1, 1, 2])
    held = (torch.ones(4, 3), torch.tensor([0, 1, 2, 2]))
    found = probe("dead", train=(torch.ones(5, 3), targets), held_out=held)
    assert found.train_error == pytest.approx(0.4)  # class 1 is the most frequent
    assert found.error == pytest.approx(0.75)


def test_how_sure_an_error_is() -> None:
    """25 % of 60 images: the standard deviation of 60 drawn coins that fall so is 5.59 %."""
    drawn = torch.distributions.Binomial(60, torch.tensor(0.25)).sample((200_000,)) / 60
    assert margin(0.25, 60) == pytest.approx(1.96 * float(drawn.std()), rel=0.01)
    assert margin(0.25, 60) == pytest.approx(0.1096, abs=1e-4)
    assert margin(0.0, 60) == margin(1.0, 60) == pytest.approx(0.05)  # 0.95**60 = 0.046


def test_the_legend_hides_no_bar() -> None:
    probes = [Probe(name, 3, 0.0, error, True) for name, error in (("conv1", 0.5), ("conv2", 0.0))]
    figure = draw_probes(probes, split="validation", own=0.5, images=16, title="Probes")
    figure.canvas.draw()
    [axes], [legend] = figure.axes, figure.legends
    assert not legend.get_window_extent().overlaps(axes.get_window_extent())
    assert axes.get_legend() is None
