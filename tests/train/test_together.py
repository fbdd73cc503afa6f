"""Two gloo processes against one; what each finds is in `in_processes.py`, started once."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

EXACT = 1e-12
"""Differences of float64 sums of a few hundred numbers, added in another order."""


@pytest.fixture(scope="module")
def both() -> list[dict[str, Any]]:
    """The findings of both processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    started = [
        subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("in_processes.py"))],
            env={**os.environ, **places, "RANK": str(index), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(2)
    ]
    ended = [process.communicate(timeout=120) for process in started]
    assert [process.returncode for process in started] == [0, 0], ended
    return [json.loads(out) for out, _ in ended]


@pytest.fixture(params=[0, 1], ids=["first", "second"])
def found(both: list[dict[str, Any]], request: pytest.FixtureRequest) -> dict[str, Any]:
    """What each of them found."""
    return both[request.param]


def test_a_step_has_the_gradient_of_the_whole_batch(found: dict[str, Any]) -> None:
    assert len(found["steps"]) == 32
    assert max(found["steps"].values()) < EXACT, found["steps"]


def test_each_normalises_its_slice_and_statistics_are_of_all(found: dict[str, Any]) -> None:
    assert len(found["normalised"]) == 6
    assert max(found["normalised"].values()) < EXACT, found["normalised"]


def test_the_same_training(found: dict[str, Any]) -> None:
    done = found["trained"]
    assert max(done["curve"], done["weights"], done["average"]) < EXACT, done
    assert done["counts"]
    assert done["alike"]


def test_the_same_training_with_norms(found: dict[str, Any]) -> None:
    assert found["trained_with_norm"]["curve"] < EXACT
    assert found["trained_with_norm"]["alike"]


def test_what_is_not_finite_in_one_ends_or_undoes_a_step_in_both(found: dict[str, Any]) -> None:
    done = found["diverged"]
    assert all(done[policy]["alike"] for policy in done)
    assert done["stop"]["text"].startswith("DataError: training diverged at step 7 (epoch 2, batch")
    assert ": the input images [7] of the batch" in done["stop"]["text"]
    assert done["skip"]["skipped"] == 1
    assert done["skip"]["text"].startswith("epoch 2: 1 of 5 steps skipped")
    assert done["rollback"]["text"].startswith("DataError")  # images are to blame, not the rate


@pytest.mark.parametrize("images", [359, 30])
def test_each_image_is_evaluated_once(found: dict[str, Any], images: int) -> None:
    for what in (f"{images}", f"labels of {images}"):
        done = found["evaluated"][what]
        assert done["images"] == images
        assert done["same"]
        assert done["loss"] < EXACT


def test_both_say_which_images_are_not_finite(found: dict[str, Any]) -> None:
    assert found["evaluated"]["not finite"].startswith("numbers 150 (from 0) of the images hold")


def test_a_request_to_one_stops_both(found: dict[str, Any]) -> None:
    done = found["stopped"]
    assert (done["3"], done["5"]) == (["stopped", 3, 0], ["stopped", 5, 0])
    assert done["alike 3"]
    assert done["alike 5"]


def test_recalibration_is_over_the_batches_of_both(found: dict[str, Any]) -> None:
    assert found["recalibrated"]["statistics"] < EXACT
    assert found["recalibrated"]["batches"] == [3, 3]


def test_what_one_has_reaches_the_other(found: dict[str, Any]) -> None:
    done = found["agreed"]
    assert done["error"].startswith("of the second")
    assert (done["largest"], done["first"], done["copied"]) == (3, "mine", 0.0)
    assert done["none"]


def test_a_run_to_the_end(both: list[dict[str, Any]]) -> None:
    first, second = (each["whole_run"] for each in both)
    assert (first["exit code"], second["exit code"]) == (0, 0)
    assert first["files"] == ["best.pt", "last.pt", "previous.pt"]
    assert first["recorded"][:2] == first["figures"][:2]
    assert first["recorded"][2] == pytest.approx(first["figures"][2], rel=1e-6)
