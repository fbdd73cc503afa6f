"""Files that a stranger made: nothing of them may run, nothing may be written elsewhere."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import struct
import subprocess
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from torturing.jobs import Note, write_job
from torturing.pages import exchange_plugin, write_names
from torturing.part import Part
from torturing.processes import call, run

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


class Runs:
    """What a pickle calls when it is read."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def attack(place: Path, *, seed: int, count: int, note: Note) -> Part:
    """Weights, checkpoints, run folders, archives, run files and names, each with a trap in it."""
    del seed
    part = Part("malicious", "files that a stranger made")
    place /= "here"  # the folder above is this part's alone: others work beside it at the same time
    place.mkdir()
    marker, home = place / "executed", place / "home"
    home.mkdir()
    environment = {"HOME": str(home), "XDG_CONFIG_HOME": str(home), "XDG_DATA_HOME": str(home)}

    def enter() -> None:
        os.environ.update(environment)

    file = write_job("plateau", place)
    trained = run(["fit", file, "-q", "--out", "own"], place=place, prepare=enter)
    part.check("a run of one's own", trained.code == 0, str(trained))
    attempts = list(_attempts(place, marker))[:count]
    for name, words in attempts:
        before = _outside(place)
        ended = run(words, place=place, prepare=enter)
        what = f"{name}: {' '.join(map(str, words))}"
        part.check(f"{what}: nothing ran", not marker.exists(), str(ended))
        marker.unlink(missing_ok=True)
        part.check(f"{what}: exit code", ended.code in (2, 3, 4), str(ended))
        part.check(f"{what}: no traceback", not ended.traceback, str(ended))
        part.check(f"{what}: nothing written", _outside(place) == before, "a new file")
        note(f"{what}, {len(part.failures)} failures")
    ours = PLUGIN.format(marker=str(place / "ours"))
    theirs = PLUGIN.format(marker=str(marker))
    exchange_plugin(place, part, ours=ours, theirs=theirs, marker=marker, prepare=enter)
    write_names(place, part, enter)
    part.numbers |= {"files": len({name for name, _ in attempts}), "commands": len(attempts)}
    return part


def _outside(place: Path) -> set[str]:
    """What lies beside the folders of runs, and in the folder above."""
    own = {path.name for path in place.parent.iterdir()}
    return own | {str(path.relative_to(place)) for path in (place / "home").rglob("*")}


def _attempts(place: Path, marker: Path) -> Iterator[tuple[str, list[str | Path]]]:
    weights = place / "weights"
    call(lambda: _write_weights(weights, place / "own" / "checkpoints" / "last.pt", marker))
    override = "finetune.weights.file="
    for file in sorted(weights.iterdir()):
        yield file.name, ["fit", "digits", "-s", f"{override}{file}", "--out", "new"]
        if file.suffix == ".pt":
            yield file.name, ["predict", file, place / "own"]
    yield from _archives(place)
    yield from _strange_runs(place, marker)
    yield from _downloads(place)
    yield from _run_files(place, marker)


def _archives(place: Path) -> Iterator[tuple[str, list[str | Path]]]:
    """An archive in the place of images, with a member that lies elsewhere: it is not opened."""
    file = place / "images.tar"
    with tarfile.open(file, "w") as archive:
        for name in ("../slipped.png", "train/a/0.png"):
            archive.addfile(tarfile.TarInfo(name))
    yield "archive", ["predict", place / "own", file]
    for name in ("image_folder", "cifar10", "mnist"):
        settings = ["-s", f"data.name={name}", "-s", f"data.root={file}"]
        yield "archive", ["fit", "photographs", *settings, "--out", "new"]


def _write_weights(folder: Path, checkpoint: Path, marker: Path) -> None:
    """Every form of pickle, and archives and headers that lie."""
    import torch

    folder.mkdir()
    traps = {
        "system": Runs(os.system, f"touch {marker}"),
        "eval": Runs(eval, f"open({str(marker)!r}, 'w')"),
        "popen": Runs(subprocess.Popen, ["touch", str(marker)]),
        "open": Runs(open, str(marker), "w"),
        "exec": Runs(exec, f"open({str(marker)!r}, 'w')"),
    }
    for protocol in range(5):
        (folder / f"pickle{protocol}.pt").write_bytes(pickle.dumps(traps["system"], protocol))
    for name, trap in traps.items():
        torch.save({"state_dict": {"weight": torch.zeros(2), "trap": trap}}, folder / f"{name}.pt")
        torch.save({"model": trap}, folder / f"{name}.legacy.pth",
                   _use_new_zipfile_serialization=False)  # fmt: skip
        torch.save(torch.load(checkpoint) | {"trap": trap}, folder / f"own-{name}.pt")
    with tarfile.open(folder / "old.tar", "w") as archive:
        data = pickle.dumps(traps["system"])
        for name in ("storages", "tensors", "pickle"):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    with zipfile.ZipFile(folder / "slip.pt", "w") as archive_:
        archive_.writestr("archive/data.pkl", pickle.dumps({}))
        archive_.writestr("../../../slipped", "x")
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(folder / "script.pt"))
    (folder / "link.pt").symlink_to("/etc/passwd")
    for name, header in {
        "deep": '{"__metadata__": {"cnntrain": "' + "[" * 100_000 + '"}}',
        "overlap": json.dumps({n: {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
                               for n in "ab"}),
        "huge": json.dumps({"a": {"dtype": "F32", "shape": [1 << 60], "data_offsets": [0, 8]}}),
        "negative": json.dumps({"a": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}}),
        "nonsense": "[]",
    }.items():  # fmt: skip
        data = header.encode()
        text = struct.pack("<Q", len(data)) + data + bytes(8)
        (folder / f"{name}.safetensors").write_bytes(text)
    (folder / "long.safetensors").write_bytes(struct.pack("<Q", 1 << 62) + b"{}")


def _strange_runs(place: Path, marker: Path) -> Iterator[tuple[str, list[str | Path]]]:
    """A run folder whose run file, in its checkpoints, names a plugin that lies beside them."""
    for name, plugin in (("beside", "theirs.py"), ("relative", "../../theirs.py")):
        folder = place / f"strange-{name}"
        shutil.copytree(place / "own", folder)
        text = PLUGIN.format(marker=str(marker))
        for target in (folder, folder / "checkpoints", folder / "plugins", folder.parent):
            target.mkdir(exist_ok=True)
            (target / "theirs.py").write_text(text)
        call(lambda f=folder, p=plugin: _name_plugin(f, p))
        picture = place / "picture.png"
        if not picture.exists():
            from PIL import Image

            Image.new("RGB", (12, 12)).save(picture)
        last = folder / "checkpoints" / "best.pt"
        for words in (
            ["eval", folder], ["eval", last], ["predict", folder, picture],
            ["predict", last, picture], ["export", folder, "--to", "onnx"],
            ["fit", "--resume", folder, "--epochs", "9"], ["visualize", "filters", folder],
            ["features", folder], ["probe", folder], ["retrieve", folder], ["diagnose", folder],
            ["recalibrate", folder], ["summary", folder], ["compare", folder, "lenet5"],
            ["show", folder / "config.yaml"],
            ["fit", "digits", "-s", f"finetune.weights.run={folder}", "--out", "new"],
        ):  # fmt: skip
            if words[0] != "show":
                yield f"plugin {name}", words


def _name_plugin(folder: Path, plugin: str) -> None:
    """Into the checkpoints and the run file, the way a stranger would write it."""
    from cnntrain.checkpoint import load, save

    for file in (folder / "checkpoints").glob("*.pt"):
        state = load(file)
        state["config"] = _strange(str(state["config"]), plugin)
        save(file, state)
    config = folder / "config.yaml"
    config.write_text(_strange(config.read_text(), plugin))


def _strange(text: str, plugin: str) -> str:
    changed = text.replace("plugins: []", f"plugins: [{plugin}]").replace("- relu", "- theirs", 1)
    assert changed.count("theirs") >= 2, text
    return changed


def _downloads(place: Path) -> Iterator[tuple[str, list[str | Path]]]:
    """A run whose data set would be fetched into a folder that it names."""
    folder = place / "strange-download"
    shutil.copytree(place / "own", folder)
    call(lambda: _name_folder(folder / "checkpoints", str(place.parent / "fetched")))
    yield "download", ["eval", folder]
    yield "download", ["fit", "--resume", folder, "--epochs", "9"]


def _name_folder(checkpoints: Path, root: str) -> None:
    from cnntrain.checkpoint import load, save

    crop = {"center_crop": {"size": 12}}
    for file in checkpoints.glob("*.pt"):
        state = load(file)
        tree = yaml.safe_load(str(state["config"]))
        data = {"name": "cifar10", "root": root, "download": True, "split": {"validation": 0.25}}
        data["transforms"] = {name: [crop, *tree["data"]["transforms"]["eval"]] for name in SIDES}
        tree["data"] = data
        steps: Any = state["transforms"]
        steps["eval"] = [{"name": "center_crop", "size": 12}, *steps["eval"]]
        save(file, {**state, "config": yaml.safe_dump(tree, sort_keys=False)})


SIDES = ("train", "eval")


def _run_files(place: Path, marker: Path) -> Iterator[tuple[str, list[str | Path]]]:
    """Tags, names and paths in run files."""
    whole = (place / "plateau.yaml").read_text()
    touch = f"touch {marker}"
    traps = {
        "object": f"name: !!python/object/apply:os.system ['{touch}']\n",
        "module": "name: !!python/module:os\n",
        "bomb": "name: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\n",
        "above": "name: ../../above\n",
        "absolute": f"name: {place}/absolute\n",
        "home": "name: ~/x\n",
        "escape": 'name: "\\e[2Jx"\n',
        "newline": 'name: "a\\nb"\n',
        "option": "name: -rf/\n",
    }
    for name, head in traps.items():
        file = place / f"trap-{name}.yaml"
        file.write_text(head + whole.partition("\n")[2])
        yield f"run file, {name}", ["fit", file, "-q"]
