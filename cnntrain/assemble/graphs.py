"""What a run file with `compute.cuda_graphs` cannot have, said as far as possible without a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from cnntrain.arch.plan import Plan
from cnntrain.assemble.make_parts import OPTIMIZER, make_optimizer
from cnntrain.config.loaded import Loaded
from cnntrain.core.errors import ConfigError
from cnntrain.core.problems import Problem
from cnntrain.optim import parameter_groups
from cnntrain.optim.capturable import why_not_capturable
from cnntrain.train.graphed import NotRepeatableError

AT = ("compute", "cuda_graphs")
_WITHOUT = "remove compute.cuda_graphs"


def refuse_uncapturable(loaded: Loaded, plan: Plan) -> None:
    """Refuse what cannot be part of a CUDA graph; other layers that read a value have no plan.

    Raises:
        ConfigError: all of it, each at its line.
    """
    problems = list(_problems(loaded, plan)) if loaded.config.compute.cuda_graphs else []
    if problems:
        raise ConfigError.of(problems)


def _problems(loaded: Loaded, plan: Plan) -> Iterator[Problem]:
    compute, train = loaded.config.compute, loaded.config.train
    if compute.device in ("cpu", "mps"):
        there = loaded.at("compute", "device")
        message = f"CUDA graphs are of CUDA GPUs, and training is on {compute.device} ({there})"
        yield loaded.problem(AT, message, "remove one of the two")
    if compute.compile:
        there = loaded.at("compute", "compile")
        message = f"steps of a compiled network ({there}) are not captured as CUDA graphs"
        yield loaded.problem(AT, message, "remove one of the two")
    for name, node in plan.walk():
        if node.node.operation == "batch_norm" and node.keywords.get("momentum", 0.0) is None:
            message = f"'{name}', with momentum: null, reads its count of batches in each step"
            yield loaded.problem(AT, message, "give it a momentum, or remove this")
    if train is not None:
        optimizer = make_optimizer(loaded, groups=parameter_groups(nn.Linear(1, 1)))
        why = why_not_capturable(optimizer, is_scaled=compute.precision == "float16")
        if why is not None:
            message = f"steps of '{train.optimizer.name}' are not captured as CUDA graphs: {why}"
            yield loaded.problem((*OPTIMIZER, "name"), message, f"use another, or {_WITHOUT}")


@contextmanager
def capture_errors(loaded: Loaded) -> Iterator[None]:
    """What is found out while steps are captured is said at the key that asks for it."""
    try:
        yield
    except NotRepeatableError as error:
        (problem,) = error.problems
        raise loaded.error(AT, problem.message, problem.remedy or _WITHOUT) from error
