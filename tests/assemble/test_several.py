"""What a run file asks for that several processes cannot do; none but this one is started."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from cnntrain.assemble import several
from cnntrain.assemble.needed_memory import ACTIVATIONS, needed_memory
from cnntrain.assemble.networks import plan_network
from cnntrain.assemble.prepare import prepare
from cnntrain.assemble.several import refuse_for_several, with_synchronised_norms
from cnntrain.assemble.translation import choose_device
from cnntrain.config.load import load
from cnntrain.core.errors import ConfigError, UsageError
from cnntrain.core.launch import Launch, launched
from cnntrain.fit.observers import card
from cnntrain.train.together import Processes

RunFile = Callable[..., Path]
FLAT_NORM = ["flatten", {"linear": {"out": 4}}, "batch_norm", {"linear": {"out": "$num_classes"}}]
FOUR = Processes(0, 4, 0, 4)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"data.batch_size": 3}, "a batch of 3 images is too small for 4 processes"),
        ({"data.batch_size": "auto"}, "auto is found by one process, and 4 were started"),
        ({"train.optimizer.lr": "auto"}, "auto is found by one process, and 4 were started"),
        ({"compute.sync_batch_norm": True}, "SyncBatchNorm works on CUDA GPUs only"),
        ({"compute.device": "mps"}, "there is no Apple GPU here"),
        # of 72 training images the last batch has 12, 3 for each process
        ({"arch.layers": FLAT_NORM, "data.batch_size": 20}, None),
        ({"arch.layers": FLAT_NORM, "data.batch_size": 17}, "a batch of 4 .* part of a single im"),
        (
            {"arch.layers": FLAT_NORM, "data.batch_size": 10, "data.drop_last": True},
            "a batch of 10 .* start fewer processes",  # 3, 3, 3 and 1
        ),
    ],
    ids=str,
)
def test_what_four_processes_cannot_do(
    run_file: RunFile, changes: dict[str, Any], says: str | None
) -> None:
    loaded = load(run_file({"compute.device": "cpu", **changes}))
    if says is None:
        prepare(loaded, processes=FOUR)
        return
    with pytest.raises(ConfigError, match=says) as caught:
        prepare(loaded, processes=FOUR)
    assert caught.value.problems[0].place is not None


def test_a_task_whose_sums_stay_apart(run_file: RunFile, monkeypatch: pytest.MonkeyPatch) -> None:
    task = SimpleNamespace(sums=lambda _: object())
    monkeypatch.setattr(several, "make_task", lambda *_, **__: task)
    loaded = load(run_file())
    with pytest.raises(ConfigError, match="'classification' cannot be evaluated by 4 processes"):
        refuse_for_several(loaded, plan_network(loaded), processes=FOUR, device=torch.device("cpu"))


def test_graphs_are_for_one_process(run_file: RunFile) -> None:
    loaded = load(run_file({"compute.cuda_graphs": True}))
    plan, gpu = plan_network(loaded), torch.device("cuda")
    with pytest.raises(ConfigError, match="CUDA graphs are for one process, and 4 were started"):
        refuse_for_several(loaded, plan, processes=FOUR, device=gpu)


def test_one_process_obeys_synchronised_norms_as_they_are(run_file: RunFile) -> None:
    """Its batch is the whole one."""
    learner = prepare(load(run_file({"compute.sync_batch_norm": True}))).learner
    assert isinstance(learner.model.get_submodule("batch_norm1"), nn.BatchNorm2d)


def test_norms_are_synchronised_with_the_same_weights(run_file: RunFile) -> None:
    loaded = load(run_file({"compute.sync_batch_norm": True}))
    net = prepare(load(run_file())).learner.model
    before = dict(net.state_dict(keep_vars=True))
    with_synchronised_norms(net, loaded, processes=FOUR)
    after = dict(net.state_dict(keep_vars=True))
    assert isinstance(net.get_submodule("batch_norm1"), nn.SyncBatchNorm)
    assert [(name, id(value)) for name, value in after.items()] == [
        (name, id(value)) for name, value in before.items()
    ]


def test_each_process_has_a_gpu_of_its_own(
    run_file: RunFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    loaded = load(run_file())
    second = Processes(5, 8, 1, 2)
    compute = loaded.config.compute
    assert choose_device(compute, loaded, processes=second) == torch.device("cuda", 1)
    with pytest.raises(ConfigError, match="4 processes were started here, and there are 2 GPUs"):
        choose_device(compute, loaded, processes=FOUR)
    loaded = load(run_file({"compute.device": "cuda:1"}))
    with pytest.raises(ConfigError, match="8 processes cannot all use cuda:1"):
        choose_device(loaded.config.compute, loaded, processes=second)


def test_the_rate_grows_with_the_batch_only_where_asked(run_file: RunFile) -> None:
    """16 images per batch at 0.05: as for 64 at 0.2 (Goyal et al. 2017)."""
    plain = prepare(load(run_file())).recipe
    assert (plain.lr, plain.lr_scale) == (0.05, 1.0)
    prepared = prepare(load(run_file({"train.lr_scaling.reference_batch": 4})))
    assert prepared.recipe.lr == pytest.approx(0.2)
    assert "learning rate 0.2" in dict(card(prepared))["training"]
    with pytest.raises(ConfigError, match=r"lr: auto .* is found for the batches as they are"):
        load(run_file({"train.optimizer.lr": "auto", "train.lr_scaling.reference_batch": 4}))
    with pytest.raises(ConfigError, match="reference_batch"):
        load(run_file({"train.lr_scaling": {"reference_batch": 0}}))


def test_the_environment_of_a_launcher(monkeypatch: pytest.MonkeyPatch, run_file: RunFile) -> None:
    assert launched() == Launch()
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert launched() == Launch(), "some clusters set it for every program"
    loaded = load(run_file())
    alone = needed_memory(loaded, plan_network(loaded))
    monkeypatch.setenv("RANK", "3")
    assert launched() == Launch(3, 4, 3, 4)
    together = needed_memory(loaded, plan_network(loaded))
    assert together.parts[ACTIVATIONS] == pytest.approx(alone.parts[ACTIVATIONS] / 4, rel=0.01)
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert launched() == Launch(3, 4, 1, 2)
    for value, says in (("4", "RANK=4 does not fit WORLD_SIZE=4"), ("first", "is not a number")):
        monkeypatch.setenv("RANK", value)
        with pytest.raises(UsageError, match=says):
            launched()
