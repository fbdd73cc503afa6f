"""Remedies as changes of the run file: each is a run file without mistakes, and says the change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cnntrain.config.load import load
from cnntrain.diagnose.faults import FAULTS
from cnntrain.diagnose.pasted_remedies import MENDS, mended
from cnntrain.diagnose.report import Finding
from cnntrain.diagnose.setup import open_patient
from cnntrain.train import undisturbed

RunFile = Callable[..., Path]

KAIMING = "arch.init=[{weight: kaiming, bias: 0}]"
SMALL = (
    "arch.init=[{weight: kaiming, bias: 0}, "
    "{names: output.*, weight: {normal: {std: 0.01}}, bias: 0}]"
)


def overrides(fault: str, file: Path) -> list[str]:
    """Those of a finding, with which the run file is one without mistakes."""
    with undisturbed():
        patient = open_patient(str(file))
        found = mended(Finding(fault, "", "", "look at it"), patient)
    load(file, found.overrides)
    assert bool(found.overrides) == (found.remedy != "look at it")
    return list(found.overrides)


def test_only_faults_are_mended() -> None:
    assert set(MENDS) <= set(FAULTS)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("zero_initialisation", [KAIMING]),
        ("large_initial_loss", [SMALL]),
        ("too_much_dropout", ["arch.layers.5.dropout.p=0.2"]),
        ("frozen_layer", []),  # it has no group that rests
        ("no_progress", []),
    ],
)
def test_what_mends(fault: str, expected: list[str], run_file: RunFile) -> None:
    assert overrides(fault, run_file({})) == expected


def test_weights_that_are_kaiming_are_not_mended_by_kaiming(run_file: RunFile) -> None:
    """But by normalisation, if there is none behind the convolution."""
    kaiming = {"arch.init": [{"weight": "kaiming", "bias": 0}]}
    assert overrides("dead_units", run_file(kaiming)) == []
    plain = [{"conv": {"out": 4, "kernel": 3}}, "relu", "flatten", {"linear": {"out": 3}}]
    (layers,) = overrides("dead_units", run_file({**kaiming, "arch.layers": plain}))
    assert layers.startswith("arch.layers=[{conv: {out: 4, kernel: 3}}, batch_norm, relu,")
