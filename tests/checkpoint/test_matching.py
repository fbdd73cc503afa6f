"""Which weights fit where; expected answers are written out by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cnntrain.checkpoint.foreign import make_rule
from cnntrain.checkpoint.matching import match

OWN = {
    "stem.weight": torch.zeros(4, 3),
    "norm.running_mean": torch.zeros(4),
    "norm.num_batches_tracked": torch.tensor(0),
    "output.weight": torch.zeros(2, 4),
}
RULES = [
    make_rule("stem.*", "conv0.*"),
    make_rule("norm.*", "bn0.*"),
    make_rule("output.*", "fc.*"),
]


def given(**names: tuple[int, ...]) -> dict[str, Tensor]:
    return {name.replace("__", "."): torch.ones(shape) for name, shape in names.items()}


def test_by_name_and_shape() -> None:
    found = match(
        OWN, given(stem__weight=(4, 3), output__weight=(9, 4), extra__bias=(5,), norm__other=(4,))
    )
    assert list(found.fitting) == ["stem.weight"]
    assert found.other_shape == {"output.weight": (9, 4)}
    assert found.missing == ("norm.running_mean",)  # a missing counter loses nothing
    assert found.left_over == ("extra.bias", "norm.other")


def test_through_a_map_of_names() -> None:
    theirs = given(conv0__weight=(4, 3), bn0__running_mean=(4,), fc__weight=(2, 4), top=(1,))
    found = match(OWN, theirs, rules=RULES)
    assert list(found.fitting) == ["stem.weight", "norm.running_mean", "output.weight"]
    assert found.left_over == ("top",)
    assert found.missing == ()


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
@pytest.mark.parametrize("rules", [[], RULES])
def test_a_prefix_that_all_names_have(prefix: str, rules: list[object]) -> None:
    names = ["conv0.weight", "fc.weight"] if rules else ["stem.weight", "output.weight"]
    shapes = [(4, 3), (2, 4)]
    theirs = {
        prefix + name: torch.ones(shape) for name, shape in zip(names, shapes, strict=True)
    } | {f"{prefix}other": torch.ones(1)}
    found = match(OWN, theirs, rules=rules)  # type: ignore[arg-type]  # rules, or none
    assert list(found.fitting) == ["stem.weight", "output.weight"]
    assert found.left_over == (f"{prefix}other",)  # by its own name


def test_a_map_may_write_the_prefix() -> None:
    rules = [make_rule("stem.*", "module.conv0.*"), make_rule("output.*", "module.fc.*")]
    theirs = {"module.conv0.weight": torch.ones(4, 3), "module.fc.weight": torch.ones(2, 4)}
    assert list(match(OWN, theirs, rules=rules).fitting) == ["stem.weight", "output.weight"]


def test_a_prefix_that_only_some_names_have_is_part_of_them() -> None:
    theirs = {"module.stem.weight": torch.ones(4, 3), "output.weight": torch.ones(2, 4)}
    found = match(OWN, theirs)
    assert list(found.fitting) == ["output.weight"]
    assert found.left_over == ("module.stem.weight",)
