"""Compiled once, whatever the sizes of batches: torch's own counter says so."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn
from torch._dynamo.testing import CompileCounter

from cnntrain.train.compiled import Compiled


@pytest.mark.parametrize(("sizes", "compiled"), [((8, 8, 3, 8, 3), 1), ((3, 8, 8, 3), 2)])
def test_smaller_batches_are_not_compiled_for(
    monkeypatch: pytest.MonkeyPatch, sizes: tuple[int, ...], compiled: int
) -> None:
    """Torch alone compiles a second time at the first batch of another size."""
    torch.compiler.reset()
    counter = CompileCounter()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=counter))
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    made = Compiled(net)
    for size in sizes:
        images = torch.randn(size, 4)
        assert torch.equal(made(images), net(images))
    assert counter.frame_count == compiled


def test_modes_and_gradients_are_the_network_s(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.compiler.reset()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=CompileCounter()))
    net = nn.Sequential(nn.Linear(4, 4), nn.Dropout(1.0))
    made = Compiled(net)
    made.train()
    assert net[1].training
    assert not made(torch.randn(8, 4)).any()
    made.eval()
    assert not net[1].training
    made(torch.randn(8, 4)).sum().backward()
    assert net[0].weight.grad is not None
