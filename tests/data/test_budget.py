"""Threads that read large images wait for one another."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from cnntrain.data import decode as module
from cnntrain.data.budget import Budget
from cnntrain.data.decode import decode, in_threads


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
    monkeypatch.setattr(module, "_BUDGET", Budget(100))
    Image.new("L", (9, 9)).save(tmp_path / "x.png")
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
