"""What a training needs in memory, counted by hand, and the remedy where it does not suffice."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from cnntrain.assemble import needed_memory, prepare
from cnntrain.assemble.make_parts import make_optimizer
from cnntrain.assemble.networks import plan_network
from cnntrain.assemble.translation import open_run_data
from cnntrain.config.load import load
from cnntrain.config.loaded import Loaded
from cnntrain.core.errors import MemoryExhaustedError
from cnntrain.core.memory import host_memory, is_out_of_memory
from cnntrain.optim import parameter_groups

RunFile = Callable[..., Path]
CPU = torch.device("cpu")
ADAM, PLAIN = {"name": "adam", "lr": 0.1}, {"name": "sgd", "lr": 0.1, "momentum": 0.0}


def loaded_with(run_file: RunFile, layers: list[Any], changes: dict[str, Any]) -> Loaded:
    return load(run_file({"arch": {"layers": layers}, **changes}))


def dense(width: object) -> list[Any]:
    return ["flatten", {"linear": {"out": width}}, "relu", {"linear": {"out": "$num_classes"}}]


@pytest.mark.parametrize(
    ("optimizer", "remembered"),
    [(PLAIN, 0), ({**PLAIN, "momentum": 0.9}, 1), (ADAM, 2), ({**ADAM, "name": "adamw"}, 2)],
)
def test_what_is_known_of_an_optimizer_is_so(
    run_file: RunFile, optimizer: dict[str, Any], remembered: int
) -> None:
    loaded = loaded_with(run_file, dense(10), {"train.optimizer": optimizer})
    net = nn.Linear(8, 8, bias=False)
    made = make_optimizer(loaded, groups=parameter_groups(net))
    net.weight.grad = torch.zeros_like(net.weight)
    for group in made.param_groups:
        group["lr"] = 0.1
    made.step()
    large = [value for value in made.state[net.weight].values() if getattr(value, "ndim", 0)]
    assert len(large) == remembered
    assert needed_memory._numbers_per_weight(loaded) == remembered


@pytest.mark.parametrize(
    ("optimizer", "remembered"),
    [(PLAIN, 0), ({**PLAIN, "momentum": 0.9}, 1), (ADAM, 2), ({"name": "muon", "lr": 0.1}, 1)],
)
def test_the_parts(run_file: RunFile, optimizer: dict[str, Any], remembered: int) -> None:
    """64 inputs, 10 units, 3 classes; autograd keeps the units' outputs after relu."""
    weights = 65 * 10 + 11 * 3
    changes = {"train.optimizer": optimizer, "train.accumulate": 2}
    loaded = loaded_with(run_file, dense(10), changes)
    needed = needed_memory.needed_memory(loaded, plan_network(loaded))
    assert needed.parts == {
        needed_memory.MODEL: 2 * 4 * weights,
        needed_memory.STATE: remembered * 4 * weights,
        needed_memory.ACTIVATIONS: 8 * 10 * 4,  # 16 images in two parts
    }


@pytest.mark.parametrize(
    ("layers", "changes", "largest", "remedy"),
    [
        (dense(5000), {"train.optimizer": PLAIN}, "weights and gradients",
         r"make the network smaller, first 'linear1', which has 96% of its parameters$"),
        (dense(5000), {"train.optimizer": ADAM}, "weights and gradients",
         r"make the network smaller, first 'linear1', "),
        (dense(20), {"data.classes": 4000, "data.images": 8000}, "weights and gradients",
         r"use fewer than 4,000 classes: 'linear2', which has 98% of its parameters, has an"),
        ([{"conv": {"out": 40}}, "tanh", "global_avg_pool", {"linear": {"out": 3}}], {},
         "activations", r"use a smaller data\.batch_size, or train\.accumulate .* 16 images"),
        ([{"conv": {"out": 40}}, "tanh", "global_avg_pool", {"linear": {"out": 3}}],
         {"train.accumulate": 16}, "activations", r"use smaller images, .* before 'tanh1'"),
    ],
    ids=["width", "width, Adam", "classes", "batch", "one image"],
)  # fmt: skip
def test_the_remedy_is_that_of_the_largest_part(
    run_file: RunFile, layers: list[Any], changes: dict[str, Any], largest: str, remedy: str
) -> None:
    loaded = loaded_with(run_file, layers, changes)
    plan = plan_network(loaded)
    with (
        pytest.raises(MemoryExhaustedError) as caught,
        needed_memory.memory_errors(loaded, plan, device=CPU),
    ):
        raise MemoryError
    message = caught.value.problems[0].message
    assert re.search(rf"is used up: training needs about [\d.]+ \wB for {largest}", message)
    assert re.search(remedy, caught.value.problems[0].remedy)


def test_an_optimizer_that_remembers_most(run_file: RunFile) -> None:
    loaded = loaded_with(run_file, dense(5000), {"train.optimizer": ADAM})
    needed = needed_memory.needed_memory(loaded, plan_network(loaded))
    more = {**needed.parts, needed_memory.STATE: 1 << 40}
    found = needed_memory._remedy(
        needed_memory.Needed(more, needed.batch, needed.kept_by, needed.large),
        plan_network(loaded),
    )
    assert found.startswith("choose an optimizer that remembers less, or make the network smaller")


def test_weights_that_cannot_fit_are_refused_before_anything_is_made(
    run_file: RunFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(*_: object, **__: object) -> None:
        raise AssertionError("it was built")

    monkeypatch.setattr(prepare, "make_network", make)
    monkeypatch.setattr(prepare, "open_run_data", make)
    monkeypatch.setattr(needed_memory, "host_memory", lambda: 16 << 30)
    loaded = loaded_with(run_file, dense(3_000_000_000), {})
    with pytest.raises(MemoryExhaustedError, match=r"weights alone are 816 GB, .* has 17\.2 GB"):
        prepare.prepare(loaded)


def test_a_training_that_does_not_fit_is_noted(
    run_file: RunFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """65 x 5000 + 5001 x 3 float32, each with a gradient and Adam's two moments; 16 x 5000 kept."""
    loaded = loaded_with(run_file, dense(5000), {"train.optimizer": ADAM})
    plan = plan_network(loaded)
    needed = needed_memory.needed_memory(loaded, plan)
    total = 4 * 4 * (65 * 5000 + 5001 * 3) + 4 * 16 * 5000
    assert needed.total == total
    for there, noted in ((total, False), (total - 1, True), (None, False)):
        monkeypatch.setattr(needed_memory, "host_memory", lambda there=there: there)
        note = needed_memory.memory_note(loaded, plan, needed)
        assert bool(note) == noted
    monkeypatch.setattr(needed_memory, "host_memory", lambda: 10**6)
    note = needed_memory.memory_note(loaded, plan, needed)
    assert re.search(r"^training needs about .*, and this machine has 1\.0 MB; make the", note)


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes")]
)
def test_images_that_do_not_fit(
    run_file: RunFile, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def big(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("cnntrain.assemble.translation.open_data", big)
    loaded = load(run_file())
    with pytest.raises(MemoryExhaustedError, match="use fewer or smaller images") as caught:
        open_run_data(loaded, device="cpu")
    assert "the images of data.name: synthetic do not fit" in str(caught.value)


def test_10_to_the_12_images(run_file: RunFile) -> None:
    loaded = load(run_file({"data.images": 10**12}))
    with pytest.raises(MemoryExhaustedError, match="the images of data"):
        open_run_data(loaded, device="cpu")


def test_other_errors_pass(run_file: RunFile) -> None:
    loaded = load(run_file())
    with (
        pytest.raises(KeyError),
        needed_memory.memory_errors(loaded, plan_network(loaded), device=CPU),
    ):
        raise KeyError("oops")
    assert not is_out_of_memory(RuntimeError("shapes do not fit"))
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))


def test_the_hosts_memory_is_bounded_by_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    there = host_memory()
    assert there is not None
    assert there > 1 << 28
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1 << 20, 1 << 20))
    assert host_memory() == 1 << 20
