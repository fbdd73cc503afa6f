"""Steps as CUDA graphs, on a tape in place of a GPU: the same runs, bit for bit, or a refusal.

A tape does what a graph does: it repeats torch's operations over the memory that they were noted
with, and nothing of Python (see `scripts/on_gpu/tape.py`). Learning rates here are powers of two,
so that a rate on the device, a float32, is the very number that Python has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from on_gpu.tape import Tape
from torch import Tensor, nn

from cnntrain.assemble import prepare as prepare_module
from cnntrain.fit.fit import Outcome
from cnntrain.optim import capturable, parameter_groups, set_learning_rate
from cnntrain.optim.optimizers.adam import adam
from cnntrain.optim.optimizers.sgd import sgd
from cnntrain.optim.schedules.constant import constant
from cnntrain.train import Learner, Setback, StepDone, graphed, snapshot, train
from cnntrain.train.graphed import WARM_UP
from cnntrain.train.recipe import Freezing

Train = Callable[..., Outcome]
Differences = Callable[[Path, Path], list[str]]
RunFile = Callable[..., Path]
LAST = Path("checkpoints", "last.pt")
LR = 2.0**-5
STEP = {"name": "step", "every": 1, "factor": 0.5}


def optimizer(name: str, **more: Any) -> dict[str, Any]:
    return {"train.optimizer": {"name": name, "lr": 2.0**-9, **more}}


CASES: dict[str, dict[str, Any]] = {
    "momentum": {"train.optimizer": {"name": "sgd", "lr": LR, "nesterov": True}},
    **{name: optimizer(name) for name in ("adam", "adamw", "lamb", "lion", "muon", "rmsprop")},
    "groups": {"train.optimizer.groups": [{"names": "output*", "lr_factor": 0.25}]},
    "clipping": {"train.clip_norm": 0.5},
    "a norm now and then": {"record.every": 3, "train.epochs": 6},
    "parts": {"train.accumulate": 3, "train.l1": 1e-4},
    "class weights": {"train.loss": {"name": "cross_entropy", "class_weights": [1.0, 2.0, 3.0]}},
    "mixed at times": {
        "data.transforms.train": ["normalize", {"mixup": {"probability": 0.5}}],
        "train.epochs": 6,
    },
    "average": {"train.ema": {"decay": 0.9}},
    "bfloat16": {"compute.precision": "bfloat16"},
    "float16": {"compute.precision": "float16", "train.clip_norm": 1.0},
    "float16 at its own": {"compute.precision": "float16"},
    "probabilities of depth": {
        "arch.layers": [
            {"conv": {"out": 4, "kernel": 3, "padding": "same"}},
            {"residual": {"body": [{"conv": {"out": 4, "kernel": 3, "padding": "same"}},
                                   {"stochastic_depth": {"p": 0.5}}]}},
            "flatten",
            {"linear": {"out": "$num_classes"}, "as": "output"},
        ]
    },
    "streamed": {"data.memory": "stream", "data.workers": 0},
    "skipping": {"train.on_divergence": "skip"},
    "penalties": {
        "arch.layers": [
            {"conv": {"out": 4, "kernel": 3, "padding": "same"}},
            "sigmoid",
            "flatten",
            {"linear": {"out": "$num_classes"}, "as": "output"},
        ],
        "train.penalties": [
            {"activation_l1": {"layers": ["conv1"], "weight": 0.01}},
            {"kl_sparsity": {"layers": ["sigmoid1"], "rho": 0.1, "beta": 0.2}},
        ],
    },
}  # fmt: skip


@pytest.fixture
def tapes(monkeypatch: pytest.MonkeyPatch) -> list[Tape]:
    """Those that were made, while a tape stands for a graph."""
    made: list[Tape] = []

    def make(device: torch.device) -> Tape:
        made.append(Tape(device))
        return made[-1]

    monkeypatch.setattr(graphed, "CudaGraph", make)
    return made


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From the call on runs are prepared as with `compute.cuda_graphs`, which a CPU refuses."""
    make = prepare_module.make_recipe

    def switch_on() -> None:
        monkeypatch.setattr(
            prepare_module, "make_recipe", lambda *a, **k: replace(make(*a, **k), cuda_graphs=True)
        )

    return switch_on


@pytest.fixture(autouse=True)
def _apart(own_place: None) -> None:
    """Each run in a place of its own."""


@pytest.mark.parametrize("changes", CASES.values(), ids=CASES)
def test_the_run_is_the_same(
    run_file: RunFile,
    train_tiny: Train,
    differences: Differences,
    graphs: Callable[[], None],
    tapes: list[Tape],
    tmp_path: Path,
    changes: dict[str, Any],
) -> None:
    """All of the last checkpoint: weights, optimizer, average, sums, scale, random states."""
    file = run_file({"train.optimizer.lr": LR, "train.schedule": STEP, **changes})
    train_tiny(file, out=tmp_path / "plain")
    graphs()
    outcome = train_tiny(file, out=tmp_path / "graphed")
    assert differences(tmp_path / "plain" / LAST, tmp_path / "graphed" / LAST) == []
    assert outcome.done is not None
    steps, played = outcome.done.step, sum(each.plays for each in tapes)
    assert steps - WARM_UP * len(tapes) <= played < steps
    assert played >= steps // 2


def test_it_goes_on_where_it_was_stopped(
    run_file: RunFile,
    train_tiny: Train,
    differences: Differences,
    graphs: Callable[[], None],
    tapes: list[Tape],
    tmp_path: Path,
) -> None:
    file = run_file({"train.optimizer": {"name": "adam", "lr": LR}, "train.ema": {"decay": 0.9}})
    train_tiny(file, out=tmp_path / "plain")
    graphs()
    train_tiny(file, out=tmp_path / "run", stop=13)
    train_tiny(resumed=tmp_path / "run")
    assert differences(tmp_path / "plain" / LAST, tmp_path / "run" / LAST) == []
    assert sum(each.plays for each in tapes) > 5


CLOCK = {"seconds", "data_seconds", "run_seconds", "so_far"}


def end_of(setup: Any, **changes: Any) -> dict[str, Any]:
    """Everything that a checkpoint would hold after the training, clocks apart."""
    numbers = {"lr": LR, "schedule": constant(), "plateau": None, **changes}
    recipe = replace(setup.recipe, **numbers)
    torch.manual_seed(3)
    setup.events = list(train(setup.learner, **{**setup.arguments, "recipe": recipe}))
    state: dict[str, Any] = snapshot(setup.learner)
    return {**state, "train": {k: v for k, v in state["train"].items() if k not in CLOCK}}


def same(first: Any, second: Any) -> bool:
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[k], second[k]) for k in first)
    if isinstance(first, Tensor):
        return torch.equal(first, second)
    return bool(first == second)


@pytest.mark.parametrize("make", [sgd, adam])
def test_layers_that_come_to_learn_are_captured_again(
    make_setup: Callable[..., Any], tapes: list[Tape], make: Callable[..., Any]
) -> None:
    found = []
    for graphs in (False, True):
        setup = make_setup(epochs=6)
        groups = parameter_groups(setup.learner.model)
        setup.learner = Learner(setup.learner.model, make(groups=groups), ema=setup.learner.ema)
        freezing = Freezing(("conv1", "norm1"), {4: ("conv1",)})
        found.append(end_of(setup, freezing=freezing, cuda_graphs=graphs))
    assert same(*found)
    assert len(tapes) == 4  # of a full batch and of an epoch's last one, before and after


def test_a_step_that_is_skipped_is_skipped_there_too(
    make_setup: Callable[..., Any], tapes: list[Tape]
) -> None:
    found = []
    for graphs in (False, True):
        setup = make_setup()
        setup.loader.changes[3, 1] = lambda images: images * torch.nan
        found.append(end_of(setup, on_divergence="skip", cuda_graphs=graphs))
        assert sum(isinstance(event, Setback) for event in setup.events) == 1
    assert same(*found)
    assert sum(each.plays for each in tapes) > 8


def test_after_a_rollback_nothing_is_left_of_the_memory_before_it(
    make_setup: Callable[..., Any], tapes: list[Tape]
) -> None:
    """The optimizer's buffers are others then; the step is spoilt once, in the third epoch."""
    found = []
    for graphs in (False, True):
        setup = make_setup(epochs=6)
        spoilt = iter([torch.nan])
        setup.loader.changes[3, 1] = lambda images, spoilt=spoilt: images * next(spoilt, 1.0)
        found.append(end_of(setup, on_divergence="rollback", cuda_graphs=graphs))
        assert sum(isinstance(event, Setback) for event in setup.events) == 1
    assert same(*found)
    assert len(tapes) == 4


def test_everything_stays_where_it_was_captured(
    make_setup: Callable[..., Any], tapes: list[Tape]
) -> None:
    """Weights, gradients, buffers, averages, sums' flag, rates: the same addresses in each step."""
    setup = make_setup()
    learner, recipe = setup.learner, replace(setup.recipe, cuda_graphs=True)
    places, full = [], 0
    for event in train(learner, **{**setup.arguments, "recipe": recipe}):
        full += isinstance(event, StepDone) and event.images == 8
        if isinstance(event, StepDone) and event.images == 8 and full > WARM_UP:
            gradients = [gradient.data_ptr() for gradient in learner.gradients()]
            places.append((graphed._addresses(learner), gradients))
    assert len(places) > 8
    assert all(place == places[0] for place in places)
    assert {"the learning rate of group 0", "the flag of divergence"} < places[0][0].keys()


def test_what_a_step_gives_is_not_written_over_by_the_next(
    make_setup: Callable[..., Any], tapes: list[Tape]
) -> None:
    losses = []
    for graphs in (False, True):
        end_of(setup := make_setup(), cuda_graphs=graphs)
        steps = [event for event in setup.events if isinstance(event, StepDone)]
        losses.append([(float(step.loss), float(step.grad_norm)) for step in steps])
    assert losses[0] == losses[1]
    assert len(set(losses[1])) == len(losses[1])


def test_a_rate_that_python_keeps_is_noticed(
    make_setup: Callable[..., Any], tapes: list[Tape], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tape itself: a number of Python's is that of the capture, and the runs differ."""
    halved = {"schedule": lambda step: 0.5 ** (step // 5)}
    right = end_of(make_setup(), cuda_graphs=True, **halved)
    assert same(end_of(make_setup(), **halved), right)
    monkeypatch.setattr(graphed, "keep_rates_on_device", lambda optimizer: None)
    monkeypatch.setattr(graphed, "_lasting", lambda learner: learner.named_tensors())
    wrong = end_of(make_setup(), cuda_graphs=True, **halved)
    assert not same(right["model"], wrong["model"])


def test_a_rate_on_the_device_is_the_nearest_float32() -> None:
    """So a step differs from the ordinary one by at most 2^-24 of its length, where it is added."""
    weight = nn.Linear(1, 1, bias=False)
    optimizer = sgd(groups=parameter_groups(weight), momentum=0.0)
    capturable.keep_rates_on_device(optimizer)
    (group,) = optimizer.param_groups
    place = group["lr"].data_ptr()
    set_learning_rate(optimizer, 0.1)
    assert group["lr"].data_ptr() == place
    assert abs(float(group["lr"]) - 0.1) <= 2.0**-24 * 0.1
