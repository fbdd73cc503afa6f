"""Reading processes: what becomes of a run when one dies, and that none is left behind."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest
from PIL import Image

from cnntrain.config.load import load_text
from cnntrain.core.errors import DataError
from cnntrain.fit.fit import fit
from cnntrain.train import StepDone

RUN_FILE = """
arch: {layers: [global_avg_pool, {linear: {out: $num_classes}}]}
data:
  {name: image_folder, root: images, batch_size: 2, memory: stream, workers: 1,
   transforms: {train: [{resize: {size: [8, 8]}}], eval: [{resize: {size: [8, 8]}}]}}
train: {epochs: 3, optimizer: {name: sgd, lr: 0.01}}
"""


class Assassin:
    """Kills the reading processes in the first step."""

    def observe(self, event: object) -> None:
        if isinstance(event, StepDone) and event.step == 1:
            for process in multiprocessing.active_children():
                process.kill()

    def close(self) -> None:
        pass


@pytest.fixture
def images(own_place: None) -> None:
    for name, colour in (("dark", 20), ("light", 200)):
        folder = Path("images/train") / name
        folder.mkdir(parents=True)
        for number in range(20):
            Image.new("RGB", (8, 8), (colour + number,) * 3).save(folder / f"{number}.png")


@pytest.mark.usefixtures("images")
def test_a_dead_worker_is_told_and_none_is_left() -> None:
    with pytest.raises(DataError, match=r"lower `data\.workers` \(now 1; 0 reads without"):
        fit(load_text(RUN_FILE, file="run.yaml"), quiet=True, observers=[Assassin()])
    assert multiprocessing.active_children() == []


@pytest.mark.usefixtures("images")
def test_the_workers_end_with_the_run() -> None:
    outcome = fit(load_text(RUN_FILE, file="run.yaml"), quiet=True)
    assert outcome.done is not None
    assert outcome.done.reason == "finished"
    assert multiprocessing.active_children() == []
