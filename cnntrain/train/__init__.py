"""Training: the loop, its events, evaluation, and the state that a checkpoint holds."""

from cnntrain.train.determinism import make_deterministic, undisturbed
from cnntrain.train.ema import Ema
from cnntrain.train.evaluation import evaluate, evaluation_mode
from cnntrain.train.events import (
    EpochDone,
    EvalDone,
    Event,
    Reason,
    RunDone,
    RunStarted,
    StepDone,
)
from cnntrain.train.learner import Learner
from cnntrain.train.loop import train
from cnntrain.train.precision import Precision
from cnntrain.train.recipe import Recipe
from cnntrain.train.snapshot import load_weights, restore, snapshot
from cnntrain.train.state import TrainState
from cnntrain.train.stopping import EarlyStop, StopRequest

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
    "StepDone",
    "StopRequest",
    "TrainState",
    "evaluate",
    "evaluation_mode",
    "load_weights",
    "make_deterministic",
    "restore",
    "snapshot",
    "train",
    "undisturbed",
]
