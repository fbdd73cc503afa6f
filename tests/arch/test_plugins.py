"""A layer in one file outside of the package."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from cnntrain.arch.build import build
from cnntrain.arch.description import Description
from cnntrain.arch.plan import Plan
from cnntrain.core.catalogue import Catalogue
from cnntrain.core.errors import ConfigError
from cnntrain.core.trust import name_plugin
from cnntrain.layers import LAYERS

Described = Callable[..., Description]
Planned = Callable[..., Plan]

SCALE = '''
"""A learned factor."""

from pathlib import Path

import torch
from torch import Tensor, nn

from cnntrain.core.kinds import PositiveFloat
from cnntrain.layers import layer

Path(__file__).with_suffix(".ran").touch()


@layer("my_scale")
class Scale(nn.Module):
    """Scale: a learned factor for each map.

    Args:
        initial: the factors before training.
    """

    def __init__(self, *, in_channels: int, initial: PositiveFloat = 1.0) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.full((in_channels, 1, 1), initial))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor
'''

OTHERS = """
import torch
from torch import nn

from cnntrain.layers import layer


@layer("my_typo")
class Typo(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.no_such_method()


@layer("my_random")
class Random(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.offset = nn.Buffer(torch.rand(1, device="cpu"))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.offset.to(x.device)


@layer("my_number")
def number(*, in_channels: int) -> int:
    return in_channels


@layer("my_pair")
class Pair(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x, x


@layer("my_forgetful")
class Forgetful(nn.Module):
    def __init__(self, *, body: nn.Module) -> None:
        super().__init__()
        self.kept = [body]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.kept[0](x)


@layer("my_wrapper")
class Wrapper(nn.Module):
    def __init__(self, *, body: nn.Module) -> None:
        super().__init__()
        self.main = nn.Sequential(body)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.main(x)
"""

AddPlugin = Callable[[str], Path]


@pytest.fixture
def add_plugin(tmp_path: Path) -> Iterator[AddPlugin]:
    """Writes a file and adds it to LAYERS; afterwards LAYERS is as it was."""

    def add(text: str) -> Path:
        file = tmp_path / "my_layers.py"
        file.write_text(text, encoding="utf-8")
        LAYERS.add_plugin(name_plugin(file))
        return file

    yield add
    LAYERS.forget_plugins()


def test_a_plugin_is_planned_and_built(add_plugin: AddPlugin, planned: Planned) -> None:
    add_plugin(SCALE)
    plan = planned("layers: [{my_scale: {initial: 2}, as: twice}, relu]")
    assert plan.parameters == 3
    assert plan.body.nodes[0].receptive_field is not None
    x = torch.rand(2, 3, 8, 8)
    assert torch.equal(build(plan)(x), 2 * x)


def test_describing_checks_a_plugin_without_running_it(
    add_plugin: AddPlugin, described: Described, planned: Planned
) -> None:
    ran = add_plugin(SCALE).with_suffix(".ran")
    described("layers: [my_scale]")
    with pytest.raises(ConfigError, match="unknown key 'inital' in 'my_scale'; did you mean"):
        described("layers: [my_scale: {inital: 2}]")
    with pytest.raises(ConfigError, match="'initial' must be greater than 0, not -1"):
        described("layers: [my_scale: {initial: -1}]")
    assert not ran.exists()
    planned("layers: [my_scale]")
    assert ran.exists()


def test_the_same_plugin_may_be_named_twice(add_plugin: AddPlugin, planned: Planned) -> None:
    add_plugin(SCALE)
    file = add_plugin(SCALE)
    assert [entry.name for entry in LAYERS.entries() if entry.file == file] == ["my_scale"]


def test_a_plugin_cannot_take_the_name_of_a_layer(add_plugin: AddPlugin) -> None:
    with pytest.raises(ConfigError) as caught:
        add_plugin(SCALE.replace("my_scale", "conv"))
    message = str(caught.value)
    assert "my_layers.py:16:1: layer 'conv' already exists in" in message
    assert message.splitlines()[0].endswith("choose another name")
    assert LAYERS.entry("conv").file.name == "conv.py"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("return x *", "return x * *", "my_layers.py:28:20: the plugin is not valid Python"),
        ('"my_scale"', "NAME", "the registered name must be a literal, not `NAME`"),
        ("initial: PositiveFloat", "initial", "the parameter 'initial' has no type"),
        ("initial: PositiveFloat", "initial: Path", "the type `Path` cannot be given in YAML"),
    ],
)
def test_a_wrong_plugin_is_refused_when_it_is_read(
    add_plugin: AddPlugin, old: str, new: str, says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        add_plugin(SCALE.replace(old, new, 1))
    assert says in str(caught.value)
    assert "; " in str(caught.value)
    assert "my_layers.py:" in str(caught.value)


def test_a_plugin_that_is_not_there(tmp_path: Path) -> None:
    layers = Catalogue("layer", tmp_path, "nothing")
    with pytest.raises(ConfigError, match=r"cannot read the plugin .*check the path in `plugins:`"):
        layers.add_plugin(name_plugin(tmp_path / "missing.py"))


def test_a_plugin_that_fails_when_it_is_run(add_plugin: AddPlugin, planned: Planned) -> None:
    add_plugin(SCALE.replace("import torch\n", "import no_such_library\n", 1))
    with pytest.raises(ConfigError, match="ModuleNotFoundError: No module named 'no_such_library'"):
        planned("layers: [my_scale]")


@pytest.mark.parametrize(
    ("item", "says", "remedy"),
    [
        ("my_typo", "AttributeError: 'Tensor' object has no attribute", "see FILE:11"),
        ("my_number", "it made int, no nn.Module", "return the module"),
        ("my_pair", "'my_pair' does not return one tensor", "correct its forward"),
        ("{my_forgetful: {body: [relu]}}", "does not keep its 'body' as a module", "assign it to"),
    ],
)
def test_a_mistake_in_a_plugin_is_told_at_the_line_of_use(
    add_plugin: AddPlugin, planned: Planned, item: str, says: str, remedy: str
) -> None:
    file = add_plugin(OTHERS)
    with pytest.raises(ConfigError) as caught:
        planned(f"layers:\n  - relu\n  - {item}\n")
    (problem,) = caught.value.problems
    assert problem.place is not None
    assert (problem.place.file, problem.place.line) == ("net.yaml", 3)
    assert says in problem.message
    assert problem.remedy.replace(str(file), "FILE").startswith(remedy)


def test_planning_draws_nothing_even_if_a_plugin_does(
    add_plugin: AddPlugin, planned: Planned
) -> None:
    add_plugin(OTHERS)
    before = torch.get_rng_state()
    plan = planned("layers: [my_random]")
    assert torch.equal(torch.get_rng_state(), before)
    build(plan)
    assert not torch.equal(torch.get_rng_state(), before)


def test_names_follow_where_a_plugin_keeps_its_lists(
    add_plugin: AddPlugin, planned: Planned
) -> None:
    add_plugin(OTHERS)
    plan = planned("layers: [my_wrapper: {body: [conv: {out: 2}]}]")
    names = [name for name, _ in plan.walk()]
    assert names == ["my_wrapper1", "my_wrapper1.main.0.conv1"]
    parameters: Any = dict(build(plan).named_parameters())
    assert set(parameters) == {f"{names[1]}.weight", f"{names[1]}.bias"}
