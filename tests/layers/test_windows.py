"""The window that a layer tells, from which its receptive field is planned, is the one it reads."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from cnntrain.arch.receptive import window
from cnntrain.layers.avg_pool import avg_pool
from cnntrain.layers.c_cell import CCell
from cnntrain.layers.conv import conv
from cnntrain.layers.divisive_norm import DivisiveNorm
from cnntrain.layers.l2_pool import l2_pool
from cnntrain.layers.local import Local
from cnntrain.layers.lp_pool import LpPool
from cnntrain.layers.s_cell import SCell
from cnntrain.layers.sparse_conv import SparseConv
from cnntrain.layers.subsampling import Subsampling

SHAPE = (2, 16, 15)
LAYERS = [
    conv(in_channels=2, out=3, kernel=(3, 2), stride=2, padding=1, dilation=2),
    avg_pool(in_shape=SHAPE, kernel=3, stride=2, padding=1),
    LpPool(in_shape=SHAPE, kernel=(4, 3), stride=(2, 1), padding=1),
    LpPool(in_shape=SHAPE, kernel=3, stride=2, padding=1, p=9.0),
    l2_pool(in_shape=SHAPE, kernel=3),
    Subsampling(in_shape=SHAPE, kernel=(2, 3)),
    Local(in_shape=SHAPE, out=2, kernel=(4, 3), stride=2, padding=(0, 1)),
    SparseConv(in_shape=SHAPE, table=[[0], [0, 1]], kernel=(2, 5), stride=2, padding=1),
    SCell(in_shape=SHAPE, out=3, kernel=(4, 3), stride=2, padding=1),
    CCell(in_shape=SHAPE, kernel=(3, 4), stride=2, padding=1, inhibition=False),
    DivisiveNorm(in_shape=SHAPE, kernel=(3, 5)),
]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
def test_a_unit_in_the_middle_depends_on_its_window_only(layer: nn.Module) -> None:
    generator = torch.Generator().manual_seed(0)
    x = (0.5 + torch.rand(1, *SHAPE, generator=generator)).requires_grad_()
    y = layer(x)
    place = [side // 2 for side in y.shape[2:]]
    (gradient,) = torch.autograd.grad(y[0, :, place[0], place[1]].sum(), x)
    seen = gradient[0].abs().sum(dim=0).nonzero()
    for axis in (0, 1):
        told = window(layer, axis)
        assert told is not None
        first = place[axis] * told.stride - told.padding
        last = first + (told.kernel - 1) * told.dilation
        assert (first, last) == (seen[:, axis].min().item(), seen[:, axis].max().item())
