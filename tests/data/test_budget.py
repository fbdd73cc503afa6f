"""Threads that read large images wait for one another."""

from __future__ import annotations

import multiprocessing
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image

from cnntrain.data import decode as module
from cnntrain.data.batch import Batch, Batching
from cnntrain.data.budget import MEGABYTES, Budget, megabytes
from cnntrain.data.decode import UnreadableImageError, decode, in_threads, shared_budget, use_budget
from cnntrain.data.pipeline import Pipeline
from cnntrain.data.splits import Files
from cnntrain.data.stream import StreamLoader

CONTEXT = multiprocessing.get_context()


def test_no_more_is_held_at_once() -> None:
    budget, lock, now, most = Budget(100), threading.Lock(), 0, 0

    def read(pixels: int) -> int:
        nonlocal now, most
        with budget.held(pixels):
            with lock:
                now += pixels
                most = max(most, now)
            time.sleep(0.001)
            with lock:
                now -= pixels
        return pixels

    with ThreadPoolExecutor(8) as pool:
        assert len(list(pool.map(read, [30, 100, 60, 1, 99, 50] * 5))) == 30
    assert 60 < most <= 100


def test_a_larger_image_than_all_is_let_through() -> None:
    budget = Budget(10)
    with budget.held(1000):
        pass
    with budget.job(), budget.held(10), budget.held(10):
        pass
    with budget.held(10):
        pass


def test_what_a_job_decodes_counts_until_it_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_budget", Budget(100))
    Image.new("L", (9, 9)).save(tmp_path / "x.png")
    monkeypatch.setattr(module, "megabytes", lambda *_, **__: 60)
    lock, now, most = threading.Lock(), 0, 0

    def read(_: int) -> None:
        nonlocal now, most
        picture = decode(tmp_path / "x.png", channels=3)
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.005)
        assert picture.width == 9
        with lock:
            now -= 1

    list(in_threads(read, range(12)))
    assert most == 1


def _hold(budget: Budget, now: Any, most: Any) -> None:
    use_budget(budget)
    for _ in range(20):
        with module._budget.held(60):
            with now.get_lock():
                now.value += 1
                most.value = max(most.value, now.value)
            time.sleep(0.002)
            with now.get_lock():
                now.value -= 1


def test_processes_share_one_budget() -> None:
    now, most = multiprocessing.Value("i"), multiprocessing.Value("i")
    budget = Budget(100, context=CONTEXT)
    several = [multiprocessing.Process(target=_hold, args=(budget, now, most)) for _ in range(3)]
    for process in several:
        process.start()
    for process in several:
        process.join(60)
    assert [process.exitcode for process in several] == [0, 0, 0]
    assert most.value == 1, "60 of 100 are held by one at a time"


def test_workers_read_within_the_budget_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a worker decodes is taken from the budget of the process that started it."""
    monkeypatch.setattr(module, "_budget", Budget())
    Image.new("RGB", (9, 9)).save(tmp_path / "x.png")
    part = Files((tmp_path / "x.png",) * 4, torch.zeros(4, dtype=torch.int64), 3)
    batching = Batching(2, False, False, 0, torch.device("cpu"), False)
    loader = StreamLoader(part, name="train", pipeline=Pipeline(()), batching=batching, workers=2)
    try:
        budget = shared_budget(CONTEXT)
        with budget.held(MEGABYTES):
            found: list[Batch] = []
            reader = threading.Thread(target=lambda: found.extend(loader.batches(1)))
            reader.start()
            reader.join(1)
            assert not found, "all memory is taken"
        reader.join(60)
        assert len(found) == 2
    finally:
        loader.close()


def test_a_worker_that_is_ended_keeps_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_budget", Budget())
    first = shared_budget(CONTEXT)
    assert shared_budget(CONTEXT) is first
    with first.held(1):
        assert shared_budget(CONTEXT, renewed=True) is not first


COSTS = {  # megabytes of 9450 x 9460 pixels that were measured, without those of the program
    "RGB": ("PNG", 362), "RGBA": ("PNG", 382), "CMYK": ("TIFF", 378), "I;16": ("PNG", 382),
    "P": ("GIF", 462),
}  # fmt: skip
TENSOR = 268
"""Megabytes of the same as `(3, H, W)` bytes, which a fit without sizes makes."""


@pytest.mark.parametrize("mode", COSTS)
def test_an_image_takes_what_is_reckoned(mode: str) -> None:
    form, measured = COSTS[mode]
    header: Any = SimpleNamespace(
        mode=mode, format=form, width=9450, height=9460, info={}, tile=[], getbands=lambda: mode
    )
    found = megabytes(header, "RGB", full_pixels=9450 * 9460, file_bytes=1000)
    assert measured <= found <= 380 + TENSOR


@pytest.mark.parametrize(
    ("form", "options", "measured"),
    [("WEBP", {}, 1432), ("JPEG", {"progressive": True}, 1049)],
)
def test_an_image_that_takes_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, options: Any, measured: int
) -> None:
    mode = "CMYK" if form == "JPEG" else "RGB"
    Image.new(mode, (2000, 2000)).save(tmp_path / "x.jpg", form, **options)
    reckoned = measured * 4 // 90  # of 9450 x 9460 pixels
    monkeypatch.setattr(module, "MEGABYTES", reckoned)
    with pytest.raises(UnreadableImageError, match=f"2000 x 2000 pixels as {form} take "):
        decode(tmp_path / "x.jpg", channels=3)
    monkeypatch.setattr(module, "MEGABYTES", reckoned + 2)
    decode(tmp_path / "x.jpg", channels=3)
