"""The bench of planted faults: its run files, and the diagnosis of the quickest of them.

`scripts/planted_faults` diagnoses all of them; its table is docs/figures/planted_faults.md. What is
expected stands in each file's first line.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cnntrain.config.load import load
from cnntrain.diagnose.diagnose import examine
from cnntrain.diagnose.faults import FAULTS, check_names

FOLDER = Path(__file__).parents[2] / "scripts" / "planted"
BROKEN = sorted((FOLDER / "broken").glob("*.yaml"))
HEALTHY = sorted((FOLDER / "healthy").glob("*.yaml"))
FAST = ["device=cpu", "threads=1"]


def planted(file: Path) -> str:
    found = re.match(r"# Planted: (\w+)\. ", file.read_text())
    assert found is not None, file
    return found[1]


def first(file: Path, *checks: str) -> str | None:
    overrides = [f"compute.{value}" for value in FAST]
    findings = examine(str(file), checks=checks, overrides=overrides).findings
    return findings[0].fault if findings else None


@pytest.mark.parametrize("file", [*BROKEN, *HEALTHY], ids=lambda file: file.stem)
def test_a_set_up_is_a_run_file_without_mistakes(file: Path) -> None:
    """The faults are such as no look at the run file can find."""
    load(file)
    if file in BROKEN:
        assert planted(file) in FAULTS
    else:
        assert file.read_text().startswith("# Healthy. ")


def test_there_are_twenty_of_each() -> None:
    assert len(BROKEN) >= 20
    assert len(HEALTHY) >= 20


@pytest.mark.parametrize(
    ("name", "check"),
    [
        ("wrong_labels", "data"),
        ("late_labels", "data"),
        ("other_class_order", "splits"),
        ("validation_in_train", "data"),
        ("raw_pixels", "data"),
        ("wrong_sign", "gradients"),
        ("zero_weights", "initial"),
        ("detached", "connections"),
        ("batch_norm_in_training_mode", "evaluation"),
        ("no_activations", "sight"),
        ("pooled_pixels", "sight"),
        ("two_hidden_units", "sight"),
        ("weights_upside_down", "arithmetic"),
        ("slow_batch_norm", "arithmetic"),
    ],
)
def test_a_check_names_what_was_planted(name: str, check: str) -> None:
    file = FOLDER / "broken" / f"{name}.yaml"
    assert first(file, check) == planted(file)


@pytest.mark.parametrize("name", ["adam_too_low", "clipped_gradient"])
def test_all_checks_together_name_it_first(name: str) -> None:
    file = FOLDER / "broken" / f"{name}.yaml"
    assert first(file, *(check for check in check_names() if check != "machine")) == planted(file)


@pytest.mark.parametrize("name", ["perceptron", "two_classes"])
def test_no_alarm_where_nothing_is_wrong(name: str) -> None:
    file = FOLDER / "healthy" / f"{name}.yaml"
    assert first(file, *(check for check in check_names() if check != "machine")) is None


@pytest.mark.parametrize("name", ["linear_bottlenecks", "small_batches"])
def test_unusual_but_right(name: str) -> None:
    assert first(FOLDER / "healthy" / f"{name}.yaml", "arithmetic", "sight") is None


def test_a_step_on_a_last_batch_of_one_image_is_not_held_against_the_recipe() -> None:
    """1,537 images are 48 batches of 32 and one image; after it batch normalisation is upset."""
    assert first(FOLDER / "broken" / "validation_in_train.yaml", "recipe") is None
