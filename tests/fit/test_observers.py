"""Who listens to a run: a plugin's observer; what a run reports at its start, what it advises."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import cnntrain
from cnntrain.assemble.prepare import prepare
from cnntrain.config.load import load
from cnntrain.core.choices import OBSERVERS
from cnntrain.core.cores import core_count
from cnntrain.core.errors import ConfigError
from cnntrain.fit.fit import Outcome
from cnntrain.fit.observers import card, data_cure

RunFile = Callable[..., Path]


def test_the_card(run_file: RunFile) -> None:
    rows = dict(card(prepare(load(run_file({"compute.deterministic": True})))))
    # conv 4 * 9 + 4, batch norm 2 * 4, linear 4 * 16 * 3 + 3: 243 parameters;
    # 64 * 36 + 64 * 3 = 2,496 multiply-adds (those of batch norm are not counted)
    assert "243 parameters, 2,496 multiply-adds" in rows["network"]
    assert rows["network"].startswith("1x8x8 -> 3 classes")
    assert rows["data"] == "synthetic: 72 train, 24 validation, 30 test images"
    assert "4 epochs of 5 batches of 16" in rows["training"]
    assert "deterministic" in rows["device"]
    assert "float32" in rows["device"]
    assert "1 threads" not in rows["device"]
    one = dict(card(prepare(load(run_file({"train.epochs": 1, "data.batch_size": 72})))))
    assert "1 epoch of 1 batch of 72" in one["training"]


def test_advice_for_images_in_memory(run_file: RunFile) -> None:
    assert "data.transforms.train" in data_cure(prepare(load(run_file())))
    slow = run_file({"data.transforms": {"train": ["rand_augment", "normalize"]}})
    assert data_cure(prepare(load(slow))).startswith("rand_augment is slow; with data.memory: str")


@pytest.mark.parametrize("workers", [0, core_count()])
def test_advice_for_images_that_are_streamed(
    run_file: RunFile, tmp_path: Path, workers: int
) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "images" / "train" / name).mkdir(parents=True)
        for index in range(4):
            pixel = (index * 20, index * 30, 9 + 5 * index)
            file = tmp_path / "images" / "train" / name / f"{index}.png"
            Image.new("RGB", (8, 8), pixel).save(file)
    data: dict[str, Any] = {
        "name": "image_folder",
        "root": "images",
        "batch_size": 4,
        "memory": "stream",
        "workers": workers,
        "transforms": {
            split: [{"resize": {"size": [8, 8]}}, "normalize"] for split in ("train", "eval")
        },
    }
    advice = data_cure(prepare(load(run_file({"data": data}))))
    assert "data.memory: resident, now stream" in advice
    raised = f"raise data.workers (now 0; there are {core_count()} cores)" in advice
    assert raised == (workers == 0 and core_count() > 1)
    # images of one size each time anew can only be kept if they are made one size first
    crop = [{"random_resized_crop": {"size": 6}}, "normalize"]
    data["transforms"] = {"train": crop, "eval": [{"resize": {"size": [6, 6]}}, "normalize"]}
    assert "data.memory" not in data_cure(prepare(load(run_file({"data": data}))))


JOURNAL = '''
from pathlib import Path
from cnntrain.core.kinds import Positive
from cnntrain.record import observer
from cnntrain.train import EpochDone, RunDone, RunStarted

@observer("journal")
class Journal:
    """One line an epoch.

    Args:
        file: where to write without a run's folder.
        every: epochs between two lines.
    """

    def __init__(self, *, file: str = "journal.txt", every: Positive = 1, run, net, classes):
        self.folder, self.every = run, every
        self.path = Path(file) if run is None else run / "journal.txt"
        self.add(f"{sum(p.numel() for p in net.parameters())} {len(classes)}")

    def add(self, line):
        with self.path.open("a") as stream:
            stream.write(line + "\\n")

    def observe(self, event):
        if isinstance(event, RunStarted):
            self.add(f"from {event.step}")
        elif isinstance(event, EpochDone) and event.epoch % self.every == 0:
            line = f"epoch {event.epoch} {event.step}"
            if self.folder is not None:
                rows = len((self.folder / "metrics.csv").read_text().splitlines()) - 1
                line += f" {rows} {(self.folder / 'checkpoints' / 'previous.pt').exists()}"
            self.add(line)
        elif isinstance(event, RunDone):
            self.add(event.reason)

    def close(self):
        self.add("closed")


@observer("mute")
class Mute:
    """Lacks a method."""

    def observe(self, event):
        pass
'''


def test_an_observer_of_a_plugin(
    train_tiny: Callable[..., Outcome],
    run_file: RunFile,
    tmp_path: Path,
    differences: Callable[[Path, Path], list[str]],
) -> None:
    """It sees an epoch after the metrics and before the checkpoint, and changes nothing."""
    (tmp_path / "journal.py").write_text(JOURNAL)
    changes = {"plugins": ["journal.py"], "train.epochs": 3}
    with_it = changes | {"record.observers": [{"journal": {"every": 2}}]}
    train_tiny(run_file(changes), out=tmp_path / "plain")
    train_tiny(run_file(with_it | {"record.observers": ["journal"]}), out=tmp_path / "whole")
    # 5 batches an epoch; 243 parameters (see above), 3 classes
    assert (tmp_path / "whole" / "journal.txt").read_text().splitlines() == [
        "243 3", "from 0",
        "epoch 1 5 1 False", "epoch 2 10 2 True", "epoch 3 15 3 True",
        "finished", "closed",
    ]  # fmt: skip
    train_tiny(run_file(with_it), out=tmp_path / "cut", stop=7)
    train_tiny(resumed=tmp_path / "cut")
    assert (tmp_path / "cut" / "journal.txt").read_text().splitlines() == [
        "243 3", "from 0", "stopped", "closed",
        "243 3", "from 7", "epoch 2 10 2 True", "finished", "closed",
    ]  # fmt: skip
    last = [tmp_path / name / "checkpoints" / "last.pt" for name in ("plain", "whole", "cut")]
    only = {key for file in last[1:] for key in differences(last[0], file)}
    assert all(key == "config" for key in only), only


def test_an_observer_of_a_plugin_in_memory_and_added_on_resuming(
    train_tiny: Callable[..., Outcome], run_file: RunFile, tmp_path: Path
) -> None:
    (tmp_path / "journal.py").write_text(JOURNAL)
    changes = {"plugins": ["journal.py"], "train.epochs": 2}
    listed = {"record.observers": [{"journal": {"file": "mine.txt"}}]}
    cnntrain.fit(run_file(changes | listed), quiet=True)
    lines = ["243 3", "from 0", "epoch 1 5", "epoch 2 10", "finished", "closed"]
    assert (tmp_path / "mine.txt").read_text().splitlines() == lines
    assert not (tmp_path / "runs").exists()
    train_tiny(run_file(changes), out=tmp_path / "run")
    more = ["train.epochs=3", "record.observers=[journal]"]
    train_tiny(resumed=tmp_path / "run", overrides=more)
    lines = ["243 3", "from 10", "epoch 3 15 3 True", "finished", "closed"]
    assert (tmp_path / "run" / "journal.txt").read_text().splitlines() == lines


@pytest.mark.parametrize("out", [None, "run"])
def test_an_observer_is_given_what_it_asks_for(
    run_file: RunFile, tmp_path: Path, out: str | None
) -> None:
    """Every name that the catalogue fills, with a folder and without one."""
    names = ", ".join(OBSERVERS.filled)
    (tmp_path / "curious.py").write_text(
        "from cnntrain.record import observer\n\n"
        "@observer('curious')\n"
        "class Curious:\n"
        '    """Keeps what it is given."""\n\n'
        f"    def __init__(self, *, {names}):\n"
        "        self.given = dict(locals(), images=images())\n"
        "        last.append(self)\n\n"
        "    def observe(self, event):\n"
        "        self.given['before_save'](), self.given['facts']()\n\n"
        "    def close(self): pass\n\n"
        "last = []\n"
    )
    changes = {"plugins": ["curious.py"], "record.observers": ["curious"], "train.epochs": 1}
    cnntrain.fit(run_file(changes), out=out, quiet=True)
    given = OBSERVERS.load("curious").__init__.__globals__["last"][-1].given
    assert given["run"] == (None if out is None else Path(out))
    assert given["metrics_csv"] == (None if out is None else Path(out) / "metrics.csv")
    assert given["images"].shape == (16, 1, 8, 8)
    assert 0 <= given["images"].min() < given["images"].max() <= 1
    assert len(given["classes"]) == 3
    assert given["settings"]["train.optimizer.lr"] == 0.05
    assert given["quiet"] is True
    expected = 0 if out is None else 2  # last.pt at the start; of the epoch, which is the best, too
    assert given["facts"]()["checkpoints"]["files"] == expected


def test_an_observer_without_close(run_file: RunFile, tmp_path: Path) -> None:
    (tmp_path / "journal.py").write_text(JOURNAL)
    changes = {"plugins": ["journal.py"], "record.observers": ["mute"]}
    with pytest.raises(ConfigError, match="the observer 'mute' has no method `close`") as caught:
        cnntrain.fit(run_file(changes), quiet=True)
    (problem,) = caught.value.problems
    assert problem.place is not None
    assert "mute" in problem.place.source


def test_a_run_that_is_refused_leaves_no_folder_and_is_not_the_latest(
    run_file: RunFile, tmp_path: Path
) -> None:
    run = cnntrain.fit(run_file({"train.epochs": 1}), out="runs", quiet=True).run
    (tmp_path / "journal.py").write_text(JOURNAL)
    file = run_file({"plugins": ["journal.py"], "record.observers": ["mute"]})
    for out in ("runs", "elsewhere"):
        with pytest.raises(ConfigError, match="has no method `close`"):
            cnntrain.fit(file, out=out, quiet=True)
    assert run is not None
    assert {path.name for path in run.parent.iterdir()} == {run.name, "latest"}
    assert (run.parent / "latest").resolve() == run.resolve()
    assert not Path("elsewhere").exists()
