"""What is found while steps are captured as CUDA graphs is said at its line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from on_gpu.tape import Tape
from torch import nn

from cnntrain.assemble import prepare as prepare_module
from cnntrain.assemble.timed_steps import TimedSteps
from cnntrain.assemble.trial_parts import method_of
from cnntrain.config.load import load
from cnntrain.core.choices import OPTIMIZERS
from cnntrain.core.errors import ConfigError
from cnntrain.data.batch import Batch
from cnntrain.fit.fit import Outcome
from cnntrain.optim import parameter_groups
from cnntrain.optim.capturable import keep_rates_on_device, why_not_capturable
from cnntrain.train import graphed, loop
from cnntrain.train.graphed import WARM_UP, NotRepeatableError


@pytest.fixture(autouse=True)
def _apart(own_place: None) -> None:
    """A place of its own."""


def test_a_fault_of_a_step_is_at_the_key(
    run_file: Callable[..., Path],
    train_tiny: Callable[..., Outcome],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    def fail(learner: object) -> None:
        raise NotRepeatableError("a fault", remedy="a remedy")

    make = prepare_module.make_recipe
    monkeypatch.setattr(
        prepare_module, "make_recipe", lambda *a, **k: replace(make(*a, **k), cuda_graphs=True)
    )
    monkeypatch.setattr(loop, "GraphedSteps", fail)
    file = run_file({"compute.cuda_graphs": False})
    with pytest.raises(ConfigError) as refused:
        train_tiny(file, out=tmp_path / "run")
    (problem,) = refused.value.problems
    line = file.read_text().splitlines().index("  cuda_graphs: false") + 1
    assert problem.place is not None
    assert (problem.place.line, problem.message, problem.remedy) == (line, "a fault", "a remedy")


def test_steps_that_are_timed_are_those_of_the_training(
    run_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `bench` and the search for a batch size time them; the weights stay as they are."""
    tapes: list[Tape] = []

    def make(device: torch.device) -> Tape:
        tapes.append(Tape(device))
        return tapes[-1]

    monkeypatch.setattr(graphed, "CudaGraph", make)
    prepared = prepare_module.prepare(load(run_file()))
    net, (batch, *_) = prepared.learner.model, prepared.data.train.batches(1)
    recipe = replace(prepared.recipe, cuda_graphs=True, norm_every=0)
    steps = TimedSteps.of(net, batch, method=replace(method_of(prepared), recipe=recipe))
    steps.run(WARM_UP + 2)
    larger = Batch(*(torch.cat([each, each]) for each in batch))
    steps.variant(batch=larger).run(WARM_UP + 1)
    assert [each.plays for each in tapes] == [2, 1]
    timed = steps._learner.model.named_parameters()
    assert all(torch.equal(each, net.get_parameter(name)) for name, each in timed)


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_every_optimizer_can_be_captured(name: str) -> None:
    """In float16 those that skip steps by themselves: torch's fused ones."""
    optimizer: Any = OPTIMIZERS.load(name)(groups=parameter_groups(nn.Linear(2, 2)))
    assert why_not_capturable(optimizer, is_scaled=False) is None
    is_torchs = type(optimizer).__module__.startswith("torch.")
    assert (why_not_capturable(optimizer, is_scaled=True) is None) == is_torchs
    keep_rates_on_device(optimizer)
    assert all(isinstance(group["lr"], torch.Tensor) for group in optimizer.param_groups)
    assert all(group.get("capturable", True) for group in optimizer.param_groups)


def test_a_fused_optimizer_that_does_not_know_of_graphs() -> None:
    groups: Any = parameter_groups(nn.Linear(2, 2))
    optimizer = torch.optim.Adagrad(groups, fused=True)
    assert why_not_capturable(optimizer, is_scaled=False) == "it has no `capturable`"
