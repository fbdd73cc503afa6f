"""Training: the loop, its events, evaluation, and the state that a checkpoint holds."""

from cnntrain.train.evaluation import evaluate, evaluation_mode
from cnntrain.train.events import (
    EpochDone,
    EvalDone,
    Event,
    Reason,
    RunDone,
    RunStarted,
    Setback,
    StepDone,
    StopRequest,
)
from cnntrain.train.learner import Ema, Learner
from cnntrain.train.loop import train
from cnntrain.train.precision import (
    Precision,
    choose_precision,
    make_deterministic,
    undisturbed,
)
from cnntrain.train.recipe import EarlyStop, Recipe
from cnntrain.train.snapshot import load_weights, restore, snapshot
from cnntrain.train.state import TrainState

__all__ = [
    "EarlyStop",
    "Ema",
    "EpochDone",
    "EvalDone",
    "Event",
    "Learner",
    "Precision",
    "Reason",
    "Recipe",
    "RunDone",
    "RunStarted",
    "Setback",
    "StepDone",
    "StopRequest",
    "TrainState",
    "choose_precision",
    "evaluate",
    "evaluation_mode",
    "load_weights",
    "make_deterministic",
    "restore",
    "snapshot",
    "train",
    "undisturbed",
]
