"""Branches, concat, add and sequence: joins of several tensors."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from cnntrain.layers.branches import Branches
from cnntrain.layers.merges import Add, Concat
from cnntrain.layers.sequence import sequence


def path(module: nn.Module, out: tuple[int, ...]) -> nn.Module:
    """One path as the planner hands it over; it reads (3, 6, 6)."""
    net = nn.Sequential(module)
    for name, value in (("in_shape", (3, 6, 6)), ("out_shape", out)):
        object.__setattr__(net, name, value)
    return net


def image(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_paths_are_joined_in_the_order_in_which_they_are_written() -> None:
    two, one = path(nn.Conv2d(3, 2, 1), (2, 6, 6)), path(nn.Conv2d(3, 4, 1), (4, 6, 6))
    layer = Branches(paths={"two": two, "one": one})
    x = image(2, 3, 6, 6)
    assert torch.equal(layer(x), torch.cat([two(x), one(x)], dim=1))
    assert {name.rpartition(".0.")[0] for name in layer.state_dict()} == {"paths.two", "paths.one"}


def test_paths_may_be_added() -> None:
    paths = {name: path(nn.Conv2d(3, 2, 1), (2, 6, 6)) for name in ("a", "b", "c")}
    x = image(2, 3, 6, 6)
    a, b, c = (each(x) for each in paths.values())
    assert torch.equal(Branches(paths=paths, merge="add")(x), a + b + c)


def test_what_branches_refuse() -> None:
    wide, small = path(nn.Conv2d(3, 4, 1), (4, 6, 6)), path(nn.Conv2d(3, 2, 3), (2, 4, 4))
    message = (
        r"branches: the paths differ in height and width: one \(4, 6, 6\), three \(2, 4, 4\); "
        r"give them equal strides and padding"
    )
    with pytest.raises(ValueError, match=message):
        Branches(paths={"one": wide, "three": small})
    narrow = path(nn.Conv2d(3, 2, 1), (2, 6, 6))
    message = r"differ in shape: one \(4, 6, 6\), two \(2, 6, 6\); give them equal channels"
    with pytest.raises(ValueError, match=message):
        Branches(paths={"one": wide, "two": narrow}, merge="add")
    with pytest.raises(ValueError, match="there is no path"):
        Branches(paths={})
    for name in ("pop", "training", "a.b"):
        with pytest.raises(ValueError, match=f"a path cannot be called '{name}'"):
            Branches(paths={name: wide})


def test_concat_and_add() -> None:
    a, b, c = image(2, 3, 4, 4), image(2, 1, 4, 4), image(2, 2, 4, 4)
    concat = Concat(in_shape=((3, 4, 4), (1, 4, 4), (2, 4, 4)))
    assert torch.equal(concat(a, b, c), torch.cat([a, b, c], dim=1))
    assert torch.equal(Add(in_shape=((3, 4, 4),) * 3)(a, 2 * a, 3 * a), a + 2 * a + 3 * a)
    assert Concat(in_shape=((3,), (2,)))(image(2, 3), image(2, 2)).shape == (2, 5)


def test_what_concat_and_add_refuse() -> None:
    with pytest.raises(ValueError, match=r"concat: the inputs differ .* number 2 \(3, 2, 4\)"):
        Concat(in_shape=((3, 4, 4), (3, 2, 4)))
    with pytest.raises(ValueError, match=r"concat: the inputs differ .* number 2 \(3,\)"):
        Concat(in_shape=((3, 4, 4), (3,)))
    with pytest.raises(ValueError, match=r"add: the inputs differ in shape: number 1 \(3, 4, 4\)"):
        Add(in_shape=((3, 4, 4), (1, 4, 4)))


def test_sequence_hands_on_its_layers() -> None:
    layers = path(nn.Conv2d(3, 4, 1), (4, 6, 6))
    assert sequence(layers=layers) is layers
