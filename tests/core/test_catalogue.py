"""What exists is read from the source; nothing runs before it is used."""

from pathlib import Path
from typing import Any

import pytest

from cnntrain.core.catalogue import Catalogue
from cnntrain.core.errors import ConfigError
from cnntrain.core.trust import name_plugin

SOURCE = '''
from typing import Literal
from torch import nn
from cnntrain.core.kinds import Positive, Size
from somewhere import thing

raise RuntimeError("this file was run")


@thing("pool", inputs="many", sizes=[1, 2])
def pool(*, in_channels: int, kernel: Size = 2, mode: Literal["max", "avg"] = "max",
         again: "Positive | None" = None) -> nn.Module:
    """The largest of each window.

    More of it.

    Args:
        kernel: height and width
            of the window.
        mode: which number.

    Shape: (N, C, H, W).
    """


@thing("wrap")
class Wrap(nn.Module):
    """Layers in a box."""

    def __init__(self, *, body: nn.Module, others: dict[str, nn.Module] | None = None,
                 out: Positive) -> None:
        """Args:
        out: channels.
        """


def helper(): ...
'''


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    (tmp_path / "pool.py").write_text(SOURCE)
    (tmp_path / "_hidden.py").write_text("not python")
    return Catalogue(
        "thing", tmp_path, "nowhere", filled=("in_channels",), origin="the layer above"
    )


def test_entries(catalogue: Catalogue) -> None:
    assert catalogue.names() == ["pool", "wrap"]
    pool = catalogue.entry("pool")
    assert pool.summary == "The largest of each window."
    assert pool.options == {"inputs": "many", "sizes": [1, 2]}
    assert pool.filled == ("in_channels",)
    assert pool.line == 11
    kernel, mode, again = pool.parameters
    assert (kernel.name, kernel.default, kernel.required) == ("kernel", 2, False)
    assert kernel.description == "height and width of the window."
    assert (mode.annotation, again.description) == ("Literal['max', 'avg']", "")
    nested = {p.name: p.nested for p in catalogue.entry("wrap").parameters}
    assert nested == {"body": "list", "others": "lists", "out": None}


def test_check(catalogue: Catalogue) -> None:
    values, wrong = catalogue.entry("pool").check({"kernel": [2, 3]})
    assert values == {"kernel": (2, 3), "mode": "max", "again": None}
    assert wrong == []


@pytest.mark.parametrize(
    ("name", "given", "message", "remedy"),
    [
        ("pool", {"kernal": 2}, "unknown key 'kernal' in 'pool'", "did you mean 'kernel'?"),
        ("pool", {"mode": "maximum"}, "'mode' must be one of max, avg", "did you mean 'max'?"),
        ("pool", {"again": True}, "'again' must be an integer, not true", "write an integer"),
        ("pool", {"in_channels": 3}, "follows from the layer above", "remove it"),
        ("wrap", {"body": []}, "'out' is missing in 'wrap'", "add `out: ...`"),
        ("wrap", {"body": [], "outt": 3}, "unknown key 'outt'", "did you mean 'out'?"),
    ],
)
def test_check_complains(
    catalogue: Catalogue, name: str, given: dict[str, Any], message: str, remedy: str
) -> None:
    _, wrong = catalogue.entry(name).check(given)
    assert len(wrong) == 1
    assert message in wrong[0].message
    assert wrong[0].remedy == remedy


def test_unknown(catalogue: Catalogue) -> None:
    assert catalogue.find("pol") is None
    with pytest.raises(ConfigError, match="unknown thing 'pol'; did you mean 'pool'"):
        catalogue.entry("pol")


def test_plugins(catalogue: Catalogue, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    file = folder / "mine.py"
    file.write_text('import math\n\n@thing("mine")\ndef mine(*, a: int = 1): ...\n')
    assert [entry.name for entry in catalogue.add_plugin(name_plugin(file))] == ["mine"]
    assert [entry.name for entry in catalogue.add_plugin(name_plugin(file))] == ["mine"], (
        "it is known already"
    )
    assert catalogue.names() == ["mine", "pool", "wrap"]
    other = folder / "other.py"
    other.write_text('@thing("mine")\ndef mine(): ...\n')
    with pytest.raises(ConfigError, match="'mine' already exists"):
        catalogue.add_plugin(name_plugin(other))


def test_an_edited_plugin(catalogue: Catalogue, tmp_path: Path) -> None:
    file = tmp_path / "mine" / "mine.py"
    file.parent.mkdir()
    text = (
        "def thing(name):\n    return lambda f: f\n\n@thing('mine')\ndef mine(*, a: int = 1): ...\n"
    )
    for name in ("a", "b", "a"):
        file.write_text(text.replace("a: int", f"{name}: int"))
        catalogue.add_plugin(name_plugin(file))
        assert [p.name for p in catalogue.entry("mine").parameters] == [name]
    catalogue.forget_plugins()
    assert catalogue.names() == ["pool", "wrap"]


def test_the_same_plugin_in_another_place(catalogue: Catalogue, tmp_path: Path) -> None:
    """As in a run's folder: nothing is there twice."""
    text = '@thing("mine")\ndef mine(*, a: int = 1): ...\n'
    files = [tmp_path / name / "mine.py" for name in ("a", "b")]
    for file in files:
        file.parent.mkdir()
        file.write_text(text)
        catalogue.add_plugin(name_plugin(file))
    assert catalogue.entry("mine").file == files[0]


def test_a_plugin_that_fails_when_it_is_run(tmp_path: Path) -> None:
    catalogue = Catalogue("test thing", tmp_path, "nowhere")
    file = tmp_path / "plugins" / "mine.py"
    file.parent.mkdir()
    with pytest.raises(ConfigError, match="unknown test thing"):
        catalogue.load("mine")
    file.write_text('@testthing("mine")\ndef mine(): ...\n')
    catalogue.add_plugin(name_plugin(file))
    with pytest.raises(ConfigError, match=r"importing the plugin .* failed: NameError"):
        catalogue.load("mine")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("@thing(NAME)\ndef f(): ...", "the registered name must be a literal"),
        ("@thing('a', n=N)\ndef f(): ...", "the option n must be a literal"),
        ("@thing()\ndef f(): ...", "the registered name is missing"),
        ("@thing('a')\ndef f(*, x): ...", "'x' has no type"),
        ("@thing('a')\ndef f(*, x: Tensor): ...", "`Tensor` cannot be given in YAML"),
        ("@thing('a')\ndef f(*, x: int = N): ...", "a default must be a literal"),
        ("@thing('a'", "not valid Python"),
    ],
)
def test_plugins_that_cannot_be_read(catalogue: Catalogue, body: str, message: str) -> None:
    file = Path(catalogue.entry("pool").file).parent / "bad" / "plugin.py"
    file.parent.mkdir()
    file.write_text(body)
    with pytest.raises(ConfigError, match=message) as caught:
        catalogue.add_plugin(name_plugin(file))
    assert caught.value.problems[0].place is not None
