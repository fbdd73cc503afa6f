"""Whose code may run, and the list of what did."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from cnntrain.config import named_plugins
from cnntrain.core import trust
from cnntrain.core.errors import ConfigError
from cnntrain.core.plugins import import_plugin
from cnntrain.core.trust import is_trusted, list_file, name_plugin, read_plugin, remember


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def plugin_file(folder: Path, text: str = "x = 1\n", *, name: str = "mine.py") -> Path:
    file = folder / name
    file.write_text(text)
    return file


def test_reading_is_not_naming(tmp_path: Path) -> None:
    file = plugin_file(tmp_path)
    plugin = read_plugin(file)
    assert plugin.sha256 == hashlib.sha256(b"x = 1\n").hexdigest()
    assert not is_trusted(plugin.sha256)
    with pytest.raises(AssertionError):
        import_plugin(plugin)
    assert name_plugin(file) == plugin
    assert is_trusted(plugin.sha256)


def test_a_plugin_is_remembered_when_it_runs(tmp_path: Path, home: Path) -> None:
    plugin = name_plugin(plugin_file(tmp_path))
    assert not home.exists()
    import_plugin(plugin)
    import_plugin(plugin)
    list_ = home / "cnntrain" / "plugins"
    assert list_.read_text() == f"{plugin.sha256}  {tmp_path / 'mine.py'}\n"
    trust._NAMED.clear()
    assert is_trusted(plugin.sha256)


def test_what_runs_is_what_was_read(tmp_path: Path) -> None:
    """The file is exchanged in between."""
    file = plugin_file(tmp_path, "raise SystemError('the first')\n")
    plugin = name_plugin(file)
    plugin_file(tmp_path, "raise SystemError('the second')\n")
    with pytest.raises(ConfigError, match="the first"):
        import_plugin(plugin)


def test_the_path_adds_no_line_to_the_list(tmp_path: Path, home: Path) -> None:
    folder = tmp_path / f"a\n{'b' * 64}  c"
    folder.mkdir()
    plugin = name_plugin(plugin_file(folder))
    remember(plugin)
    trust._NAMED.clear()
    assert is_trusted(plugin.sha256)
    assert not is_trusted("b" * 64)
    assert len((home / "cnntrain" / "plugins").read_text().splitlines()) == 1


def test_a_list_that_was_written_by_hand(tmp_path: Path, home: Path) -> None:
    """Without a newline at the end, with notes, with bytes that are no text."""
    file = home / "cnntrain" / "plugins"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"# mine\n\xff\n" + b"a" * 64)
    plugin = name_plugin(plugin_file(tmp_path))
    remember(plugin)
    trust._NAMED.clear()
    assert is_trusted("a" * 64)
    assert is_trusted(plugin.sha256)
    assert not is_trusted("a" * 63)


def test_a_list_that_is_linked_stays_linked(tmp_path: Path, home: Path) -> None:
    (home / "cnntrain").mkdir(parents=True)
    (tmp_path / "kept").write_text("")
    (home / "cnntrain" / "plugins").symlink_to(tmp_path / "kept")
    remember(name_plugin(plugin_file(tmp_path)))
    assert (home / "cnntrain" / "plugins").is_symlink()
    assert (tmp_path / "kept").read_text().endswith("mine.py\n")


@pytest.mark.parametrize("obstacle", ["a file", "a folder"])
def test_what_cannot_be_written_is_not_remembered(
    obstacle: str, tmp_path: Path, home: Path
) -> None:
    if obstacle == "a file":
        home.write_text("")
    else:
        (home / "cnntrain" / "plugins").mkdir(parents=True)
    plugin = name_plugin(plugin_file(tmp_path))
    remember(plugin)
    assert is_trusted(plugin.sha256), "in this process"
    trust._NAMED.clear()
    assert not is_trusted(plugin.sha256)


def test_where_the_list_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The XDG base directory specification: a relative path is to be ignored."""
    assert list_file() == tmp_path / "home" / "cnntrain" / "plugins"
    monkeypatch.setenv("HOME", str(tmp_path))
    for value in ("", "relative"):
        monkeypatch.setenv("XDG_CONFIG_HOME", value)
        assert list_file() == tmp_path / ".config" / "cnntrain" / "plugins"


def test_files_that_cannot_be_plugins(tmp_path: Path) -> None:
    with (tmp_path / "large.py").open("wb") as file:
        file.truncate(trust.LARGEST + 1)
    for path in (tmp_path, tmp_path / "large.py", tmp_path / "missing.py", Path("/dev/zero")):
        with pytest.raises(ConfigError, match="cannot read the plugin"):
            read_plugin(path)


def test_what_was_looked_at_is_what_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin that becomes another file between the look at its hash and its use."""
    file = tmp_path / "mine.py"
    file.write_text("x = 1")
    (tmp_path / "checkpoints").mkdir()

    def exchange(sha256: str) -> bool:
        assert sha256 == hashlib.sha256(b"x = 1").hexdigest()
        file.write_text("x = 2")
        return True

    monkeypatch.setattr(named_plugins, "is_trusted", exchange)
    found = named_plugins.find_named(file.name, None, tmp_path / "config.yaml")
    assert found.content == b"x = 1"
    assert not trust.is_trusted(hashlib.sha256(b"x = 2").hexdigest())
