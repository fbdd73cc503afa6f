"""Remedies as changes of the run file: each is a run file without mistakes, and says the change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cnntrain.config.load import load
from cnntrain.diagnose.faults import FAULTS
from cnntrain.diagnose.pasted_remedies import MENDS, mended
from cnntrain.diagnose.report import Finding
from cnntrain.diagnose.setup import open_patient
from cnntrain.diagnose.tries import with_overrides
from cnntrain.train import undisturbed

RunFile = Callable[..., Path]

TINY = {"normalize": {"mean": [0.0], "std": [1e-30]}}
KAIMING = "arch.init=[{weight: kaiming, bias: 0}]"
SMALL = (
    "arch.init=[{weight: kaiming, bias: 0}, "
    "{names: output.*, weight: {normal: {std: 0.01}}, bias: 0}]"
)


def overrides(fault: str, file: Path, *layers: str) -> list[str]:
    """Those of a finding, with which the run file is one without mistakes."""
    with undisturbed():
        patient = open_patient(str(file))
        found = mended(Finding(fault, "", "", "look at it", layers=layers), patient)
    load(file, found.overrides)
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
        ("stale_batch_norm", ["train.recalibrate=true"]),  # its momentum is as usual
        ("squashed_outputs", []),  # its last layer learns
        ("cannot_overfit", []),  # its convolution is normalised
        ("not_finite", []),  # its numbers are the images' own
        ("too_much_decay", ["train.optimizer.weight_decay=1e-4"]),
        ("too_much_l1", ["train.l1=0"]),
        ("too_much_penalty", ["train.penalties=[]"]),
        ("too_much_smoothing", ["train.loss.label_smoothing=0.1"]),
        ("clipped_to_nothing", ["train.clip_norm=null"]),
        ("uneven_classes", ["data.sampling=balanced"]),  # its images are moved at random
        ("rate_falls_early", ["train.schedule={name: cosine}"]),
        ("no_progress", ["train.optimizer.lr=auto"]),
        ("diverges", ["train.optimizer.lr=auto"]),
        ("labels_noisy", []),  # no change of a run file mends that
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


@pytest.mark.parametrize(
    ("fault", "changes", "expected"),
    [
        (
            "stale_batch_norm",
            {
                "arch.layers": [
                    "flatten",
                    {"batch_norm": {"momentum": 1e-4}},
                    {"linear": {"out": 3}},
                ]
            },
            ["arch.layers.1.batch_norm.momentum=0.1"],
        ),
        (
            "squashed_outputs",
            {"arch.layers": ["flatten", {"linear": {"out": 3}}, "softmax"]},
            ["arch.layers=[flatten, {linear: {out: 3}}]"],
        ),
        (
            "not_finite",
            {
                "data.transforms.train": ["horizontal_flip", TINY, {"mixup": {"alpha": 0.2}}],
                "data.transforms.eval": [TINY],
            },
            [
                "data.transforms.train=[{horizontal_flip: {probability: 0.5, alternate: false}}, "
                "normalize, {mixup: {alpha: 0.2, probability: 1.0}}]",
                "data.transforms.eval=[normalize]",
            ],
        ),
        (
            "too_much_decay",
            {
                "train.optimizer.groups": [
                    {"names": "conv*", "weight_decay": 3.0},
                    {"names": "output*", "weight_decay": 3.0, "lr_factor": 0.5},
                ]
            },
            [
                "train.optimizer.weight_decay=1e-4",
                "train.optimizer.groups=[{names: output*, lr_factor: 0.5}]",
            ],
        ),
        (
            "frozen_layer",
            {"train.optimizer.groups": [{"names": "conv*", "lr_factor": 0.0}]},
            ["train.optimizer.groups=[]"],
        ),
        (
            "uneven_classes",
            {"data.transforms.train": ["normalize"]},
            [
                "data.sampling=balanced",
                "data.transforms.train=[{random_crop: {size: [8, 8], padding: 1}}, "
                "{normalize: {mean: null, std: null}}]",
            ],
        ),
        # weights of one's own are what makes signals fade
        (
            "vanishing_activations",
            {"arch.init": [{"weight": {"normal": {"std": 1e-5}}, "bias": 0}]},
            [KAIMING],
        ),
        (
            "vanishing_gradients",
            {
                "arch.layers": [
                    *("flatten", {"linear": {"out": 9}}, "sigmoid", {"linear": {"out": 9}}),
                    *("sigmoid", {"linear": {"out": 3}}),
                ]
            },
            [
                "arch.layers=[flatten, {linear: {out: 9}}, batch_norm, relu, {linear: {out: 9}}, "
                "batch_norm, relu, {linear: {out: 3}}]",
                KAIMING,
            ],
        ),
    ],
)
def test_what_mends_it_there(
    fault: str, changes: dict[str, Any], expected: list[str], run_file: RunFile
) -> None:
    assert overrides(fault, run_file(changes)) == expected


OWN = """
from torch import nn
from cnntrain.layers import layer

@layer("my_{what}")
class Own(nn.Module):
    \"\"\"A layer of one's own.\"\"\"
    def __init__(self, *, in_channels: int, p: float = 0.4) -> None:
        super().__init__()
        self.inner = nn.Identity()
    def forward(self, x):
        return self.inner(x)
"""


@pytest.mark.parametrize(
    ("what", "fault", "expected"),
    [
        ("norm", "eval_mode_batch_norm", "arch.layers.1=batch_norm"),
        ("dropout", "random_evaluation", "arch.layers.1={dropout: {p: 0.4}}"),
        ("scale", "wrong_gradient", "arch.layers=[{conv: {out: 4, kernel: 3}}, flatten, "
                                    "{linear: {out: 3}}]"),
    ],
)  # fmt: skip
def test_a_registered_layer_stands_in_for_one_that_is_wrong(
    what: str, fault: str, expected: str, run_file: RunFile, tmp_path: Path
) -> None:
    """Else the network is tried without it; a module inside it is the layer."""
    (tmp_path / "own.py").write_text(OWN.replace("{what}", what))
    layers = [{"conv": {"out": 4, "kernel": 3}}, f"my_{what}", "flatten", {"linear": {"out": 3}}]
    file = run_file({"arch.layers": layers, "plugins": ["own.py"]})
    assert overrides(fault, file, f"my_{what}1.inner") == [expected]


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (("scale", "scale"), "arch.layers=[flatten, {linear: {out: 3}}]"),
        (("tanh", "scale"), "arch.layers=[tanh, identity, flatten, {linear: {out: 3}}]"),
    ],
)
def test_several_layers_that_are_wrong_are_all_exchanged_or_left_out(
    what: tuple[str, str], expected: str, run_file: RunFile, tmp_path: Path
) -> None:
    """Of two changes of one list the second would undo the first."""
    files = [f"own_{each}.py" for each in set(what)]
    for each in set(what):
        (tmp_path / f"own_{each}.py").write_text(OWN.replace("{what}", each))
    layers = [*(f"my_{each}" for each in what), "flatten", {"linear": {"out": 3}}]
    file = run_file({"arch.layers": layers, "plugins": files})
    names = ["my_scale1", "my_scale2"] if what[0] == what[1] else ["my_tanh1", "my_scale1"]
    assert overrides("wrong_gradient", file, *names) == [expected]


def test_what_is_no_run_file_is_not_proposed(run_file: RunFile) -> None:
    """Without `flatten` a linear layer reads maps."""
    assert overrides("unseen_pixels", run_file({}), "flatten1") == []


def test_a_symptom_of_a_known_cause_has_no_remedy() -> None:
    """Wrong labels are not mended by another rate; what follows from another cause may be."""
    stuck = Finding("no_progress", "", "", "", overrides=("train.optimizer.lr=auto",))
    rate = Finding("rate_too_high", "", "", "", overrides=("train.optimizer.lr=0.1",))
    labels = Finding("labels_noisy", "", "", "", effects=(stuck,))
    assert with_overrides([labels]) is None
    assert with_overrides([labels, rate]) is rate
    assert with_overrides([replace(labels, effects=(stuck, rate))]) is rate
    assert with_overrides([stuck]) is stuck
