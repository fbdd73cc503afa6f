"""What starting and ending things costs: commands, ends of epochs, many files, many classes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from PIL import Image

from benching.row import Row, row
from benching.setting import Setting
from benching.turns import in_turns
from cnntrain.config.load import load
from cnntrain.fit.fit import fit
from cnntrain.record.observe import Observer
from cnntrain.tasks.classification import CLASSIFICATION
from cnntrain.train import EpochDone, EvalDone, RunStarted, StepDone

TORCH, BOTH = "import torch", "import torch, torchvision"
FIRST_STEP = """
import os, sys
from pathlib import Path
from cnntrain.config import shipped
from cnntrain.config.load import load
from cnntrain.fit.fit import fit
from cnntrain.train import StepDone
class First:
    def observe(self, event):
        if isinstance(event, StepDone):
            os._exit(0)
    def close(self):
        pass
fit(load(shipped.resolve("lenet5"), ["data.root=" + sys.argv[1]]), out=Path(sys.argv[2]),
    silent=True, observers=[First()])
"""
BIG = {"alexnet_torchvision": 64, "vgg_d": 32}
"""Networks with large linear layers that begin with a pool to a fixed size, and a size of image
that makes their steps short."""
ENDS = """
arch: archs/{arch}.yaml
data: {{name: synthetic, size: {size}, classes: 2, images: 64, test_images: 0, batch_size: 3,
        split: {{validation: {validation}}}}}
train: {{epochs: {epochs}, optimizer: {{name: sgd, lr: 1e-4}}{select}}}
"""
FILES = 100_000
OPENED = """
import json, resource, sys
from cnntrain.assemble.prepare import prepare
from cnntrain.config.load import load
loaded = load(sys.argv[1])
def used():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    pages = int(open("/proc/self/statm").read().split()[1])
    return usage.ru_utime + usage.ru_stime, pages * resource.getpagesize() / 1e6
before = used()
prepared = prepare(loaded)
print(json.dumps([after - start for after, start in zip(used(), before)]))
"""
OF_FILES = """
arch: archs/lenet5.yaml
data:
  name: image_folder
  root: {root}
  memory: stream
  split: {{validation: false}}
  transforms:
    train: [{{resize: {{size: [32, 32]}}}}, {{normalize: {{mean: {mean}, std: {mean}}}}}]
    eval: [{{resize: {{size: [32, 32]}}}}, {{normalize: {{mean: {mean}, std: {mean}}}}}]
train: {{epochs: 1, optimizer: {{name: sgd, lr: 0.01}}}}
"""


def start_up(setting: Setting) -> Iterator[Row]:
    """B7: the user and system time of whole commands; in turns with the imports of torch alone."""
    setting.folder("MNIST/raw")
    command = [sys.executable, "-m", "cnntrain"]
    step = [sys.executable, "-c", FIRST_STEP, str(setting.data)]
    runs = iter(range(1000))
    lines: dict[str, Callable[[], list[str]]] = {
        TORCH: lambda: [sys.executable, "-c", TORCH],
        BOTH: lambda: [sys.executable, "-c", BOTH],
        "`--help`": lambda: [*command, "--help"],
        "a mistake": lambda: [*command, "fit", "lenet5", "-s", "train.optimizer.momentom=0.9"],
        "`check lenet5`": lambda: [*command, "check", "lenet5"],
        "`summary resnet152`": lambda: [*command, "summary", "resnet152"],
        "first step": lambda: [*step, str(setting.scratch / f"run{next(runs)}")],
    }
    subprocess.run([*command, "check", "lenet5"], check=True, capture_output=True)  # it is good
    ways = {
        name: partial(_run, make, 2 if name == "a mistake" else 0) for name, make in lines.items()
    }
    taken = {
        name: [each.cpu for each in seconds]
        for name, seconds in in_turns(ways, rounds=setting.rounds).items()
    }
    for name, job in (
        ("`--help`", "`cnntrain --help`"),
        ("a mistake", "a misspelt key of a network that was found good"),
    ):
        yield row("B7", job, "", taken[name], unit="CPU s", target=0.3, lower_is_better=True)
    for name, job, without, target in (
        ("`check lenet5`", "`cnntrain check lenet5`", TORCH, 1.0),
        ("`summary resnet152`", "`cnntrain summary resnet152`", TORCH, 1.0),
        ("first step", "the first training step of LeNet-5 on MNIST", BOTH, 1.5),
    ):
        more = [ours - theirs for ours, theirs in zip(taken[name], taken[without], strict=True)]
        yield row("B7", job, f"`{without}`", more, unit="CPU s more", target=target,
                  lower_is_better=True)  # fmt: skip


def _run(make: Callable[[], list[str]], code: int) -> None:
    """What ends otherwise than it should has not done its job, and its time means nothing."""
    done = subprocess.run(make(), capture_output=True, check=False, text=True)
    if done.returncode != code:
        raise RuntimeError(done.stderr[-2000:])


@dataclass
class EpochEnds(Observer):
    """An observer, the last one of a run: the seconds of its epochs' ends, as training sees them.

    An end is what lies between the last step of an epoch and the end of it, less the evaluation.
    """

    ends: list[float] = field(default_factory=list)
    written: int = 0
    _last: float = 0.0
    _evaluation: float = 0.0

    def observe(self, event: object) -> None:
        if isinstance(event, RunStarted):
            self.written = -bytes_written()
        elif isinstance(event, StepDone):
            self._last, self._evaluation = time.perf_counter(), 0.0
        elif isinstance(event, EvalDone):
            self._evaluation = event.seconds
        elif isinstance(event, EpochDone):
            self.ends.append(time.perf_counter() - self._last - self._evaluation)

    def close(self) -> None:
        self.written += bytes_written()


def bytes_written() -> int:
    """By this process so far, whatever they were written to; Linux counts them."""
    lines = Path("/proc/self/io").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("wchar:"))


def epoch_end(setting: Setting) -> Iterator[Row]:
    """Ends of epochs that are longer than the writing of a checkpoint."""
    for arch in BIG:
        for is_best in (True, False):
            yield _epoch_end(arch, is_best, setting)


def _epoch_end(arch: str, is_best: bool, setting: Setting) -> Row:
    watch, epochs = EpochEnds(), max(3, setting.rounds // 2)
    split, select = ("4", "") if is_best else ("false", ", select: last")
    given = {"arch": arch, "size": BIG[arch], "epochs": epochs}
    file = setting.scratch / "run.yaml"
    file.write_text(ENDS.format(**given, validation=split, select=select))
    out = setting.scratch / f"{arch}-{is_best}"
    ended = fit(load(file), out=out, silent=True, observers=[watch])
    written, whole = watch.written / epochs / 1e6, ended.run.last.stat().st_size / 1e6
    which = "each the best so far" if is_best else "the last one selected"
    job = f"{arch}, 2 classes, SGD, {which}: the end of an epoch"
    note = (
        f"of the training thread; {written:,.0f} MB written per epoch, a checkpoint {whole:,.0f} MB"
    )
    return row("", job, "", watch.ends, unit="s", target=1.0, lower_is_better=True, note=note)


def many_files(setting: Setting) -> Iterator[Row]:
    """100,000 files, from the run file to a learner: time and memory."""
    root, source = setting.scratch / "images", setting.scratch / "one.png"
    _write_image(source)
    for number in range(10):
        folder = root / "train" / f"class{number}"
        folder.mkdir(parents=True)
        for image in range(FILES // 10):
            if image % 10_000 == 0:  # a file takes so many links
                source = folder / "000000.png"
                _write_image(source)
            else:
                os.link(source, folder / f"{image:06}.png")
    file = setting.scratch / "files.yaml"
    file.write_text(OF_FILES.format(root=root, mean=[0.5] * 3))
    taken = []
    for _ in range(max(3, setting.rounds // 2)):
        done = subprocess.run([sys.executable, "-c", OPENED, str(file)], capture_output=True,
                              check=True, text=True)  # fmt: skip
        taken.append(json.loads(done.stdout.splitlines()[-1]))
    job = f"{FILES:,} files, listed and made ready"
    yield row("", job, "", [seconds for seconds, _ in taken], unit="CPU s")
    yield row("", job, "", [memory for _, memory in taken], unit="MB",
              note="what the process has grown by, with the network and the optimizer")  # fmt: skip


def _write_image(path: Path) -> None:
    Image.new("L", (8, 8)).save(path)


def many_classes(setting: Setting) -> Iterator[Row]:
    """10,000 classes: what the end of an evaluation costs, beyond counting its batches."""
    count, rows = 10_000, 64
    outputs, targets = torch.randn(rows, count), torch.randint(0, count, (rows,))
    seconds, grown = [], []
    for _ in range(setting.rounds):
        before = _resident()
        sums = CLASSIFICATION.sums(torch.zeros(1, count))
        for _ in range(10):
            sums.add(outputs, targets, loss=torch.tensor(1.0), weight=float(rows))
        began = time.process_time()
        result = sums.compute()
        CLASSIFICATION.guessed(result)
        seconds.append(time.process_time() - began)
        grown.append(_resident() - before)
        del sums, result
    job = f"{count:,} classes: the end of an evaluation"
    yield row("", job, "", seconds, unit="CPU s", target=0.2, lower_is_better=True)
    yield row("", job, "", grown, unit="MB", target=500, lower_is_better=True)


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
