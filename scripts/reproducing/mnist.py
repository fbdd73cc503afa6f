"""The lectures' networks on MNIST, with and without distortions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from cnntrain.runs.folder import RunFolder
from cnntrain.runs.records import ending
from reproducing.part import Part, Row

DISTORTED = (
    "data.transforms.train=[{affine: {rotate: 10, translate: 0.08, scale: [0.9, 1.1], shear: 8}}, "
    "normalize]"
)
MADE_UP = (
    "data.name=synthetic",
    "data.size=28",
    "data.channels=1",
    "data.images=64",
    "data.test_images=20",
    "data.split.validation=20",
    "train.epochs=1",
    "record.tensorboard=false",
)


def test_error(run: RunFolder) -> Mapping[str, float]:
    """Of the weights that the validation images chose."""
    summary = ending(run)
    assert summary is not None
    return {"test error": summary["test"]["error"]}


def row(name: str, what: str, run_file: str, percent: float, *overrides: str) -> Row:
    """A network whose published test error is so many percent."""
    reaches: Callable[[float], bool] = partial(_at_most, percent / 100)
    return Row(name, what, run_file, f"{percent} %", reaches, overrides)


def _at_most(limit: float, error: float) -> bool:
    return error <= limit


MNIST = Part(
    title="The lectures' networks on MNIST: test error",
    rows=(
        row("softmax", "softmax regression", "softmax_regression", 12.0, "train.epochs=5"),
        row("lenet300_10", "perceptron 300-10", "lenet300_10", 4.7, "train.epochs=5"),
        row("lenet300", "perceptron 300-100-10", "lenet300", 3.05, "train.epochs=5"),
        row("lenet1", "LeNet-1", "lenet1", 1.7),
        row("lenet5", "LeNet-5", "lenet5", 0.95),
        row(
            "lenet300_10_distorted",
            "perceptron 300-10, distortions",
            "lenet300_10",
            3.6,
            "train.epochs=10",
            DISTORTED,
        ),
        row(
            "lenet300_distorted",
            "perceptron 300-100-10, distortions",
            "lenet300",
            2.45,
            "train.epochs=10",
            DISTORTED,
        ),
    ),
    figures=("test error",),
    measure=test_error,
    made_up=MADE_UP,
)
