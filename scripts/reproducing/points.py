"""Point clouds in the plane: what a linear network separates, and what it cannot."""

from __future__ import annotations

from reproducing.mnist import test_error
from reproducing.part import Part, Row


def is_zero(error: float) -> bool:
    return error == 0


def is_above_zero(error: float) -> bool:
    return error > 0


RING = "data.separable=false"
POINTS = Part(
    title="Point clouds: test error",
    rows=(
        Row("linear", "linear network, two discs", "points_linear", "0", is_zero),
        Row("linear_ring", "linear network, disc and ring", "points_linear", "above 0",
            is_above_zero, (RING,)),
        Row("mlp", "perceptron 8-2, disc and ring", "points_mlp", "0", is_zero),
    ),
    figures=("test error",),
    measure=test_error,
    made_up=("data.points=60", "data.test_points=20", "data.split.validation=20",
             "train.epochs=1", "record.tensorboard=false"),
    data=(),
    compared="to be shown",
)  # fmt: skip
