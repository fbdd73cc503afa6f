"""Signals to a whole process group, as from a terminal, systemd or Slurm: workers get them too."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from cnntrain.checkpoint import load as load_checkpoint

PLUGIN = '''
import os, signal, time
from pathlib import Path
from torch import Tensor, nn
from cnntrain.layers import layer

@layer("signal_group")
class SignalGroup(nn.Module):
    """Sends a signal to all processes of its group, in the third training step."""
    def __init__(self, *, name: str = "SIGTERM") -> None:
        super().__init__()
        self.name, self.steps = name, 0
    def forward(self, x: Tensor) -> Tensor:
        self.steps += self.training and not x.is_meta
        if self.steps == 3:
            os.killpg(os.getpgrp(), signal.Signals[self.name])
            time.sleep(0.5)  # that a worker would die of it
        return x
'''
RUN_FILE = """
plugins: [./plugin.py]
arch: {layers: [{signal_group: {name: NAME}}, global_avg_pool, {linear: {out: $num_classes}}]}
data:
  {name: image_folder, root: images, batch_size: 2, memory: stream, workers: 2,
   transforms: {train: [{resize: {size: [8, 8]}}], eval: [{resize: {size: [8, 8]}}]}}
train: {epochs: 3, optimizer: {name: sgd, lr: 0.01}}
compute: {threads: 1}
"""


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_to_all_processes_saves_after_the_batch(name: str, code: int) -> None:
    for label, colour in (("dark", 20), ("light", 200)):
        folder = Path("images/train") / label
        folder.mkdir(parents=True)
        for number in range(20):
            Image.new("RGB", (8, 8), (colour + number,) * 3).save(folder / f"{number}.png")
    Path("plugin.py").write_text(PLUGIN)
    Path("run.yaml").write_text(RUN_FILE.replace("NAME", name))
    ended = subprocess.run(
        [sys.executable, "-c", "from cnntrain.cli.app import main; main()", "fit", "run.yaml",
         "--out", "run"],
        start_new_session=True, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert ended.returncode == code, ended.stderr
    assert f"{signal.Signals[name].name}: saving".replace("SIGINT", "Ctrl-C") in ended.stderr
    assert "Traceback" not in ended.stderr
    position = load_checkpoint(Path("run/checkpoints/last.pt"))["train"]
    assert isinstance(position, dict)
    assert position["step"] == 3
