"""A run that asks for code: a stranger's is refused by every command, one's own just opens."""

from __future__ import annotations

import hashlib
import os
import py_compile
import shutil
from collections.abc import Callable
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cnntrain.checkpoint import load as load_checkpoint
from cnntrain.checkpoint import save
from cnntrain.config.load import load
from cnntrain.core import trust
from cnntrain.core.choices import CHOICES
from cnntrain.core.errors import CheckpointError
from cnntrain.fit.fit import fit
from cnntrain.model.opening import load as open_run
from cnntrain.train import undisturbed

Cnntrain = Callable[..., Any]
UNCHECKED = py_compile.PycInvalidationMode.UNCHECKED_HASH

PLUGIN = '''
from pathlib import Path
Path({marker!r}).touch()
from torch import nn
from cnntrain.layers import layer

@layer("theirs")
def theirs() -> nn.Identity:
    """Does nothing that can be seen."""
    return nn.Identity()
'''
RUN = """
plugins: [theirs.py]
arch:
  layers:
    - conv: {out: 2, kernel: 3, padding: same}
    - batch_norm
    - theirs
    - max_pool: {kernel: 2}
    - flatten
    - linear: {out: $num_classes}
data: {name: synthetic, size: 8, channels: 1, classes: 3, images: 48, split: {validation: 12}}
train: {epochs: 1, optimizer: {name: sgd, lr: 0.05}}
record: {tensorboard: false}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with theirs.py, the run file that names it, the run, and `ran`, its trace."""
    folder = tmp_path_factory.mktemp("theirs")
    (folder / "theirs.py").write_text(PLUGIN.format(marker=str(folder / "ran")))
    (folder / "run.yaml").write_text(RUN)
    with pytest.MonkeyPatch.context() as patch, undisturbed():
        patch.setenv("XDG_CONFIG_HOME", str(folder / "their-home"))
        fit(load(folder / "run.yaml"), out=folder / "run", quiet=True)
    as_another_process()
    return folder


def as_another_process() -> None:
    """Nothing is known of what was named in this one."""
    trust._NAMED.clear()
    for catalogue in CHOICES.values():
        catalogue.forget_plugins()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user who has used nothing yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def marker(made: Path) -> Path:
    """Is there after the plugin ran."""
    (made / "ran").unlink(missing_ok=True)
    return made / "ran"


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """The run of another, unpacked here."""
    return Path(shutil.copytree(made / "run", tmp_path / "run"))


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def listed(home: Path) -> list[str]:
    """The hashes on the user's list."""
    file = home / "cnntrain" / "plugins"
    return [line.split()[0] for line in file.read_text().splitlines()] if file.is_file() else []


def edit(state_of: Path, **changes: Any) -> None:
    """Change a checkpoint as somebody who can write files."""
    state = {**load_checkpoint(state_of), **changes}
    save(state_of, {key: value for key, value in state.items() if value is not ...})


COMMANDS = {
    "eval": ["eval", "RUN"],
    "eval, a checkpoint": ["eval", "RUN/checkpoints/best.pt"],
    "predict": ["predict", "RUN", "picture.png"],
    "export": ["export", "RUN", "--to", "safetensors"],
    "resume": ["fit", "--resume", "RUN", "--epochs", "2"],
    "resume a checkpoint": ["fit", "--resume", "RUN/checkpoints/last.pt", "--epochs", "2"],
    "visualize": ["visualize", "filters", "RUN"],
    "visualize theirs": ["visualize", "unknown", "RUN"],
    "features": ["features", "RUN"],
    "probe": ["probe", "RUN"],
    "retrieve": ["retrieve", "RUN", "0"],
    "diagnose": ["diagnose", "RUN"],
    "recalibrate": ["recalibrate", "RUN"],
    "summary": ["summary", "RUN"],
    "summary, a checkpoint": ["summary", "RUN/checkpoints/best.pt"],
    "compare": ["compare", "lenet5", "RUN"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_stranger_is_refused(
    name: str, made: Path, run: Path, home: Path, marker: Path, cnntrain: Cnntrain
) -> None:
    Image.new("RGB", (8, 8)).save("picture.png")
    words = [word.replace("RUN", str(run)) for word in COMMANDS[name]]
    told = cnntrain(*words)
    assert told.code == 4, told.err
    assert f"asks for the plugin {made / 'theirs.py'} (sha256 {sha256(made / 'theirs.py')})" in (
        told.err
    )
    assert f"if you trust it add --plugin {made / 'theirs.py'}" in told.err
    assert not marker.exists()
    assert not listed(home)
    assert told.out == ""


RUN_FILE = {
    "fit": ["fit", "-q", "--out", "new"],
    "check": ["check"],
    "summary": ["summary"],
    "diagnose": ["diagnose", "--check", "gradients"],
    "ablate": ["ablate", "--remove", "conv1", "--no-train"],
}


@pytest.mark.parametrize("name", RUN_FILE)
def test_the_run_file_of_a_stranger_is_not_the_users(
    name: str, made: Path, run: Path, marker: Path, cnntrain: Cnntrain
) -> None:
    """The config.yaml that came with a run; of one's own it is known what it names."""
    words = [*RUN_FILE[name], run / "config.yaml"]
    told = cnntrain(*words)
    assert (told.code, marker.exists()) == (4, False), told.err
    option = f"plugins=[{made / 'theirs.py'}]"
    assert f"if you trust it add -s {option}" in told.err
    told = cnntrain(*words, "-s", option)
    assert (told.code, marker.exists()) == (0, True), told.err


@pytest.mark.parametrize("name", ["eval", "resume", "summary", "compare", "visualize"])
def test_a_plugin_that_is_named_runs_and_is_remembered(
    name: str, made: Path, run: Path, home: Path, marker: Path, cnntrain: Cnntrain
) -> None:
    words = [word.replace("RUN", str(run)) for word in COMMANDS[name]]
    told = cnntrain(*words, "--plugin", made / "theirs.py")
    assert (told.code, marker.exists()) == (0, True), told.err
    assert listed(home) == [sha256(made / "theirs.py")]
    as_another_process()
    assert cnntrain("summary", run).code == 0, "without a question the next time"
    assert listed(home) == [sha256(made / "theirs.py")], "once"


@pytest.fixture
def own(tmp_path: Path, home: Path, cnntrain: Cnntrain) -> Path:
    """A run of one's own; `mine/theirs.py` is its plugin."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "theirs.py").write_text(PLUGIN.format(marker=str(tmp_path / "ran")))
    (folder / "run.yaml").write_text(RUN)
    told = cnntrain("fit", folder / "run.yaml", "-q", "--out", tmp_path / "own")
    assert told.code == 0, told.err
    as_another_process()
    return tmp_path / "own"


def test_a_run_of_ones_own_opens_wherever_it_lies(
    own: Path, tmp_path: Path, cnntrain: Cnntrain
) -> None:
    """Also without the original file: the folder has a copy."""
    assert (own / "plugins" / "theirs.py").read_bytes() == (
        tmp_path / "mine" / "theirs.py"
    ).read_bytes()
    moved = own.rename(tmp_path / "moved")
    shutil.rmtree(tmp_path / "mine")
    for words in (["eval", moved], ["summary", moved], ["fit", "--resume", moved, "--epochs", "2"]):
        as_another_process()
        told = cnntrain(*words)
        assert told.code == 0, told.err
        assert "plugin" not in told.err


def test_a_lone_checkpoint_without_the_file(own: Path, tmp_path: Path, cnntrain: Cnntrain) -> None:
    alone = shutil.copy(own / "checkpoints" / "best.pt", tmp_path / "alone.pt")
    shutil.move(tmp_path / "mine" / "theirs.py", tmp_path / "elsewhere.py")
    told = cnntrain("eval", alone)
    assert told.code == 4
    assert "which is not there; say where it is: --plugin PATH" in told.err
    told = cnntrain("eval", alone, "--plugin", "elsewhere.py")
    assert (told.code, "note:" in told.err) == (0, False), told.err


def change(file: Path) -> None:
    file.write_text(file.read_text().replace("can be seen", "matters"))


def test_the_copy_is_used_where_the_file_has_changed(
    own: Path, tmp_path: Path, cnntrain: Cnntrain
) -> None:
    before = sha256(tmp_path / "mine" / "theirs.py")
    change(tmp_path / "mine" / "theirs.py")
    now = sha256(tmp_path / "mine" / "theirs.py")
    for words in (["eval", own], ["summary", own], ["fit", "--resume", own, "--epochs", "2"]):
        as_another_process()
        told = cnntrain(*words)
        assert told.code == 0, told.err
        assert f"(sha256 {now[:16]} now, {before[:16]} then): the run's own copy is used" in (
            told.err
        )
    assert load_checkpoint(own / "checkpoints" / "last.pt")["plugins"] == {
        str(tmp_path / "mine" / "theirs.py"): before
    }


@pytest.mark.parametrize("option", ["--plugin", "-s"])
def test_a_changed_file_that_is_named_is_used_and_reported(
    option: str, own: Path, tmp_path: Path, cnntrain: Cnntrain
) -> None:
    file = tmp_path / "mine" / "theirs.py"
    before = sha256(file)
    change(file)
    value = str(file) if option == "--plugin" else f"plugins=[{file}]"
    told = cnntrain("fit", "--resume", own, "--epochs", "2", option, value)
    assert told.code == 0, told.err
    says = f"(sha256 {sha256(file)[:16]} now, {before[:16]} then): the run is not what it was"
    assert says in told.err
    assert says in (own / "train.log").read_text()
    assert load_checkpoint(own / "checkpoints" / "last.pt")["plugins"] == {str(file): sha256(file)}
    copies = {sha256(copy): copy.name for copy in (own / "plugins").glob("*.py")}
    assert copies == {sha256(file): "theirs.py", before: f"theirs-{before[:8]}.py"}
    as_another_process()
    assert "note:" not in cnntrain("summary", own).err, "it is what the run was last trained with"


def test_a_changed_file_without_a_copy_is_asked_for(
    own: Path, tmp_path: Path, cnntrain: Cnntrain
) -> None:
    """A run of one's own all the same: what runs would be code that was never used."""
    shutil.rmtree(own / "plugins")
    file = tmp_path / "mine" / "theirs.py"
    change(file)
    told = cnntrain("eval", own)
    assert told.code == 4
    assert f"sha256 {sha256(file)}" in told.err
    told = cnntrain("eval", own, "--plugin", file)
    assert (told.code, "the run is not what it was" in told.err) == (0, True)


def test_another_file_that_is_known_does_not_stand_in(
    own: Path, tmp_path: Path, cnntrain: Cnntrain
) -> None:
    """The run was trained with one that the user does not know, at a path that both have."""
    asked = {str(tmp_path / "mine" / "theirs.py"): "a" * 64}
    edit(own / "checkpoints" / "best.pt", plugins=asked)
    told = cnntrain("eval", own)
    assert (told.code, f"sha256 {'a' * 64}" in told.err) == (4, True)
    assert "add --plugin PATH" in told.err


def test_an_old_run_without_hashes(own: Path, home: Path, cnntrain: Cnntrain) -> None:
    """The file counts as it is now: known to whoever has used it, unknown to others."""
    shutil.rmtree(own / "plugins")
    for name in ("last", "best"):
        edit(own / "checkpoints" / f"{name}.pt", plugins=...)
    assert cnntrain("eval", own).code == 0
    (home / "cnntrain" / "plugins").unlink()
    for words in (["eval", own], ["summary", own]):
        as_another_process()
        assert cnntrain(*words).code == 4


def test_an_unwritable_home_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: Path, cnntrain: Cnntrain
) -> None:
    """Nothing is remembered; what was named in this very process is known."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    told = cnntrain("fit", made / "run.yaml", "-q", "--out", "own")
    assert (told.code, told.err.count("\n")) == (0, 1), told.err
    assert cnntrain("eval", "own").code == 0
    as_another_process()
    assert cnntrain("eval", "own").code == 4
    assert cnntrain("eval", "own", "--plugin", made / "theirs.py").code == 0


def test_a_list_or_a_look_is_no_use(
    made: Path, run: Path, home: Path, marker: Path, cnntrain: Cnntrain
) -> None:
    """What only reads a file does not let it run later."""
    assert cnntrain("list", "layers", "--plugin", made / "theirs.py").code == 0
    assert cnntrain("show", made / "run.yaml").code == 0
    assert (listed(home), marker.exists()) == ([], False)
    as_another_process()
    assert cnntrain("eval", run).code == 4
    assert cnntrain("check", made / "run.yaml").code == 0
    assert (len(listed(home)), marker.exists()) == (1, True), "the run file was the user's to name"


def test_the_weights_of_a_stranger_bring_no_code(
    run: Path, made: Path, marker: Path, cnntrain: Cnntrain
) -> None:
    """Tensors alone are taken from `finetune.weights.run`."""
    file = Path("own.yaml")
    file.write_text(RUN.replace("plugins: [theirs.py]\n", "").replace("    - theirs\n", ""))
    told = cnntrain("fit", file, "-q", "-s", f"finetune.weights.run={run}", "--out", "new")
    assert (told.code, marker.exists()) == (0, False), told.err


TRICKS = {
    "beside the checkpoint": "theirs.py",
    "above": "../../theirs.py",
    "a line": "a\nb.py",
    "an escape": "\x1b[2J.py",
    "a null byte": "a\0b.py",
    "a home": "~nobody/x.py",
    "a pipe": "pipe",
    "a folder": ".",
    "endless": "/dev/zero",
}


@pytest.mark.parametrize("trick", TRICKS)
@pytest.mark.parametrize("claims", ["no hash", "a hash", "a known hash"])
def test_tricks(
    trick: str, claims: str, own: Path, run: Path, tmp_path: Path, made: Path, cnntrain: Cnntrain
) -> None:
    """What a stranger's checkpoint may say: nothing of his runs, and the message is plain text."""
    text = PLUGIN.format(marker=str(tmp_path / "hit"))
    for folder in (run / "checkpoints", run, tmp_path):
        (folder / "theirs.py").write_text(text)
    (run / "plugins" / "theirs.py").write_text(text)
    os.mkfifo(run / "checkpoints" / "pipe")
    name = TRICKS[trick]
    state = load_checkpoint(run / "checkpoints" / "best.pt")
    config = state["config"].replace(str(made / "theirs.py"), ascii(name).replace("'", '"'))
    known = sha256(tmp_path / "mine" / "theirs.py")
    hashes = {"no hash": {}, "a hash": {name: "a" * 64}, "a known hash": {name: known}}[claims]
    edit(run / "checkpoints" / "best.pt", config=config, plugins=hashes)
    told = cnntrain("eval", run)
    assert told.code == 4, told.err
    assert "Traceback" not in told.err
    assert told.err.strip().isprintable()
    assert not (tmp_path / "hit").exists()


def test_what_runs_is_what_has_the_known_hash(
    own: Path, run: Path, made: Path, marker: Path, tmp_path: Path, cnntrain: Cnntrain
) -> None:
    """Another file of that name lies there, with another one's compiled code beside it."""
    mine = tmp_path / "mine" / "theirs.py"
    shutil.rmtree(run / "plugins")
    (run / "plugins").mkdir()
    (run / "plugins" / "theirs.py").write_text(PLUGIN.format(marker=str(marker)))
    (run / "plugins" / "link.py").symlink_to(mine)
    for file in (mine, run / "plugins" / "link.py"):
        compiled = cache_from_source(file)
        py_compile.compile(str(made / "theirs.py"), compiled, invalidation_mode=UNCHECKED)
    edit(run / "checkpoints" / "best.pt", plugins={str(made / "theirs.py"): sha256(mine)})
    (tmp_path / "ran").unlink()
    told = cnntrain("eval", run)
    assert (told.code, marker.exists(), (tmp_path / "ran").exists()) == (0, False, True), told.err


@pytest.mark.parametrize("record", [[], {"theirs.py": 3}, {3: "a"}, "a"])
def test_a_record_that_is_none(record: Any, own: Path, cnntrain: Cnntrain) -> None:
    edit(own / "checkpoints" / "best.pt", plugins=record)
    told = cnntrain("eval", own)
    assert (told.code, "does not say which plugins it needs" in told.err) == (4, True)


def test_a_cross_validation_of_a_stranger(
    made: Path, tmp_path: Path, home: Path, marker: Path, cnntrain: Cnntrain
) -> None:
    told = cnntrain("fit", made / "run.yaml", "-q", "--folds", "2", "--out", "folds")
    assert told.code == 0, told.err
    marker.unlink()
    as_another_process()
    assert cnntrain("fit", "--resume", "folds").code == 0, "one's own"
    (home / "cnntrain" / "plugins").unlink()
    marker.unlink(missing_ok=True)
    as_another_process()
    told = cnntrain("fit", "--resume", "folds")
    assert (told.code, marker.exists()) == (4, False)
    told = cnntrain("fit", "--resume", "folds", "--plugin", made / "theirs.py")
    assert told.code == 0, told.err


def test_from_python(made: Path, run: Path, marker: Path) -> None:
    with pytest.raises(CheckpointError, match="which you have not used before"):
        open_run(run)
    assert not marker.exists()
    assert open_run(run, plugins=[made / "theirs.py"]).classes
    as_another_process()
    assert open_run(str(run)).classes


@pytest.mark.parametrize(
    "name", ["lock", "train.log", "metrics.jsonl", "checkpoints/last.pt.tmp", "plugins", "tb"]
)
def test_nothing_is_written_through_a_link(
    name: str, own: Path, tmp_path: Path, cnntrain: Cnntrain
) -> None:
    """A folder that another person has packed may have one: to a file of the user's."""
    target = tmp_path / "target"
    if name in ("plugins", "tb"):
        target.mkdir()
        shutil.rmtree(own / name, ignore_errors=True)
    else:
        target.write_text("mine")
        (own / name).unlink(missing_ok=True)
    (own / name).symlink_to(target)
    told = cnntrain("fit", "--resume", own, "--epochs", "2")
    assert (told.code, f"{own / name} is a link" in told.err) == (4, True), told.err
    assert target.is_dir() or target.read_text() == "mine"
    assert not target.is_dir() or not list(target.iterdir())
