"""A check of one's own, in a file outside of the package that a run file names."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from cnntrain.cli.commands import app
from cnntrain.config.load import load
from cnntrain.core.choices import CHECKS
from cnntrain.core.errors import ConfigError, UsageError
from cnntrain.diagnose.diagnose import examine
from cnntrain.diagnose.faults import FAULTS, check_names, known_faults
from cnntrain.diagnose.given import FILLED
from cnntrain.diagnose.setup import open_patient
from cnntrain.train import undisturbed

pytestmark = pytest.mark.usefixtures("own_place")

RunFile = Callable[..., Path]

ORDER = ["arithmetic", "sight", "splits", "augmentation", "data", "batches", "connections",
         "initial", "gradients", "evaluation", "overfit", "rate", "recipe", "generalisation",
         "substitution", "units", "machine"]  # fmt: skip
"""The documented order of the checks."""

DARK = '''
from cnntrain.data.batch import Batch
from cnntrain.diagnose import check
from cnntrain.diagnose.report import Finding, Report


@check(
    "brightness",
    place=1.5,
    faults={"too_dark": "the images are too dark"},
    before="wrong_gradient",
)
def brightness(*, small_batch: Batch, train_images: int, floor: float = 1e6) -> Report:
    """Are the images bright enough?"""
    mean = float(small_batch.images.mean())
    numbers = {"mean": mean, "images": train_images}
    if mean >= floor:
        return Report("brightness", "they are", numbers=numbers)
    finding = Finding("too_dark", "the images are dark", f"mean {mean:.3g}", "buy a lamp")
    return Report("brightness", finding.headline, (finding,), numbers=numbers)
'''


@pytest.fixture
def dark(tmp_path: Path, run_file: RunFile) -> Path:
    """A run file whose plugin always finds the images too dark, and whose rate is too high."""
    (tmp_path / "dark.py").write_text(DARK)
    return run_file({"plugins": ["dark.py"], "train.optimizer.lr": 20.0})


def test_every_name_that_a_check_may_ask_for_is_filled_in() -> None:
    assert set(CHECKS.filled) == set(FILLED)
    assert len(CHECKS.filled) == len(FILLED)
    assert check_names() == ORDER


def test_a_check_in_a_plugin_is_given_what_it_asks_for(dark: Path) -> None:
    with undisturbed():
        expected = float(open_patient(str(dark)).listed(32).images.mean())
    (report,) = examine(str(dark), checks=["brightness"]).reports
    assert report.numbers == {"mean": expected, "images": 72}  # 72: those of the tiny run file
    assert report.seconds > 0


def test_no_image_counts_twice_where_there_are_few(run_file: RunFile) -> None:
    """20 images in batches of 16: 64 are asked for, one batch is what there is."""
    with undisturbed():
        few = open_patient(str(run_file({"data.split.train": 20}))).listed(64).images
    assert len(few) == 16
    assert len(torch.unique(few.flatten(1), dim=0)) == 16


def test_checks_and_causes_of_a_plugin_have_their_place(dark: Path) -> None:
    load(dark)
    behind = ORDER.index("data") + 1  # its place is 1.5
    assert check_names() == [*ORDER[:behind], "brightness", *ORDER[behind:]]
    codes = list(known_faults())
    assert codes.index("too_dark") + 1 == codes.index("wrong_gradient")
    assert [code for code in codes if code != "too_dark"] == list(FAULTS)
    found = examine(str(dark), checks=["rate", "brightness"]).findings
    assert [finding.fault for finding in found] == ["too_dark", "rate_too_high"]
    CHECKS.forget_plugins()
    assert check_names() == ORDER


def test_on_the_command_line(dark: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    done = runner.invoke(app, ["diagnose", str(dark), "--check", "brightness"])
    assert done.exit_code == 0
    assert "1. the images are dark (fault: too_dark)" in done.stdout
    with pytest.raises(UsageError, match="no check 'brightnes'; did you mean 'brightness'"):
        examine(str(dark), checks=["brightnes"])
    CHECKS.forget_plugins()
    listed = runner.invoke(app, ["list", "checks", "--plugin", str(tmp_path / "dark.py")]).stdout
    names = re.findall(r"^(\w+): ", listed, re.MULTILINE)
    assert names == ["brightness"]
    assert "brightness: Are the images bright enough?" in listed


@pytest.mark.parametrize(
    ("written", "instead", "message"),
    [
        ("floor: float = 1e6", "small_bach: int", "'small_bach'.*did you mean 'small_batch'"),
        (
            'Finding("too_dark"',
            'Finding("to_dark"',
            r"dark\.py:13:1: .* did you mean 'too_dark'\? Else",
        ),
        ('Finding("too_dark"', 'Finding("x"', r"'brightness' reports the fault 'x', which it does"),
        ('before="wrong_gradient"', 'before="wrong_gradien"', "did you mean 'wrong_gradient'"),
        ("place=1.5", 'place="first"', "`place` of the check 'brightness' is not a number"),
        ('faults={"too_dark": "the images are too dark"}', 'faults="too_dark"', "not a mapping"),
    ],
)
def test_mistakes_in_a_plugin_have_a_near_match(
    dark: Path, tmp_path: Path, written: str, instead: str, message: str
) -> None:
    (tmp_path / "dark.py").write_text(DARK.replace(written, instead).replace("< floor", "< 1e6"))
    with pytest.raises(ConfigError, match=message):
        examine(str(dark), checks=["brightness"])
