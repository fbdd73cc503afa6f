"""Every run file on a pretended GPU: its batches, its training steps, its evaluation.

Everything is on the device where it should be, and after the first batch nothing makes the host
wait: no value is read, and no memory is copied that is not pinned. Networks of many layers take
seconds each: they are tried in bfloat16 only, unless CNNTRAIN_SWEEP=all is in the environment.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from on_gpu.cases import RUN_FILES, Case, open_case
from torch import Tensor, nn

from cnntrain.arch.build import build
from cnntrain.arch.network import Network
from cnntrain.data.batch import Batch, Batching, Loader
from cnntrain.train import StepDone, StopRequest, evaluate, graphed, train

PRECISIONS = ("float32", "bfloat16", "float16")
MEMORY: Any = {"float32": "resident", "bfloat16": "resident", "float16": "stream"}
BATCH, BATCHES = 4, 3
LARGE = {"finetune", "googlenet", "probe", "resnet50", "starter"}
AROUND = 10
"""Kernels of a step that are not in its graph, learning rates and counters of batches apart."""
SWEPT = [
    pytest.param(file, precision, id=f"{file.stem}-{precision}")
    for file in RUN_FILES
    for precision in PRECISIONS
    if file.stem not in LARGE
    or precision == "bfloat16"
    or os.environ.get("CNNTRAIN_SWEEP") == "all"
]
SMALL = [
    pytest.param(file, precision, id=f"{file.stem}-{precision}")
    for file in RUN_FILES
    for precision in PRECISIONS
    if file.stem not in LARGE
    and (precision == "float16" or os.environ.get("CNNTRAIN_SWEEP") == "all")
]
"""In float16 there is most to capture: scaling, and what it skips."""
COUNTING = {"classes": 0, "labels": 1, "numbers": 5, "image": 16, "distances": 30, "several": 30}
"""More of them, with which a task counts each batch; classes are counted every 16 batches.

Of images 12, or 16 where they were whitened.
"""


@pytest.fixture(scope="module")
def case(request: pytest.FixtureRequest) -> Case:
    return open_case(request.param, images=BATCH * BATCHES)


@pytest.fixture(scope="module")
def nets(case: Case) -> dict[bool, Network]:
    """Without values, on the meta device, in either layout: True for channels last."""
    net = build(case.plan, device="meta")
    return {False: net, True: copy.deepcopy(net).to(memory_format=torch.channels_last)}


def placed(nets: dict[bool, Network], precision: str, device: torch.device) -> nn.Module:
    """A copy of the network on a device, with weights of any values."""
    return copy.deepcopy(nets[precision != "float32"]).to_empty(device=device)


class Watched:
    """A loader whose batches are checked; from the second one on nothing may wait."""

    def __init__(self, loader: Loader, gpu: Any) -> None:
        self._loader, self._gpu = loader, gpu
        self.size, self.batches_per_epoch = loader.size, loader.batches_per_epoch

    def batches(self, epoch: int, *, start: int = 0) -> Iterator[Batch]:
        for batch in self._loader.batches(epoch, start=start):
            assert batch.images.device == batch.targets.device == self._gpu.device
            assert batch.images.dtype == torch.float32
            assert batch.targets.dtype == (
                torch.int64 if batch.targets.ndim == 1 else torch.float32
            )
            yield batch
            self._gpu.strict = True


def watched(case: Case, split: str, precision: str, gpu: Any) -> Watched:
    how = Batching(
        BATCH,
        shuffle=split == "train",
        device=gpu.device,
        channels_last=precision != "float32",
    )
    return Watched(case.loader(split, MEMORY[precision], batching=how), gpu)


@pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")  # deepcopy does it
@pytest.mark.parametrize(("case", "precision"), SWEPT, indirect=["case"])
def test_training_steps(
    case: Case, nets: dict[bool, Network], precision: Any, gpu: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not case.is_trained:
        pytest.skip("nothing is trained")
    model = placed(nets, precision, gpu.device)
    monkeypatch.setattr(Tensor, "backward", gpu.learning(model))
    events = train(
        case.learner(model, precision=precision),
        recipe=case.recipe(steps_per_epoch=BATCHES, norm_every=1, plateau=None, early_stop=None),
        criterion=case.criterion(gpu.device),
        loader=watched(case, "train", precision, gpu),
    )
    next(events)
    for number in range(1, BATCHES):  # not the last one: the epoch's figures are read after it
        step = next(events)
        assert isinstance(step, StepDone)
        assert step.step == number
        assert step.loss.device == gpu.device
    gpu.strict = False
    events.close()


@pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")
@pytest.mark.parametrize(("case", "precision"), SMALL, indirect=["case"])
def test_steps_as_graphs(
    case: Case,
    nets: dict[bool, Network],
    precision: Any,
    gpu: Any,
    noted: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The third step is captured: from then on a step is a launch, and few kernels around it.

    What lasts stays in its memory, or the step is refused. Outside of the graph are the copy of
    the batch into it, copies of what came of it, the average and the sums.
    """
    if not case.is_trained:
        pytest.skip("nothing is trained")
    monkeypatch.setattr(graphed, "WARM_UP", BATCHES - 1)
    model = placed(nets, precision, gpu.device)
    monkeypatch.setattr(Tensor, "backward", gpu.learning(model))
    how = {"norm_every": 1, "plateau": None, "early_stop": None, "cuda_graphs": True}
    events = train(
        case.learner(model, precision=precision),
        recipe=case.recipe(steps_per_epoch=BATCHES, **how),
        criterion=case.criterion(gpu.device),
        loader=watched(case, "train", precision, gpu),
    )
    assert [type(next(events)) for _ in range(BATCHES + 1)][-1] is StepDone
    gpu.strict = False
    (graph,) = noted
    assert graph.replays == 1
    assert len(graph.captured) > 2 * len([*model.children()])
    counters = sum(not each.is_floating_point() for each in model.buffers())  # in the average
    most = AROUND + COUNTING[case.targets.form] + counters
    assert len(gpu.kernels) <= most, gpu.kernels
    events.close()


def test_what_a_graph_would_keep_of_the_host_is_found(gpu: Any) -> None:
    """The pretended GPU itself."""
    there, here = torch.zeros(3, device=gpu.device), torch.ones(3).pin_memory()
    gpu.captures = True
    with pytest.raises(gpu.WaitError, match="of the host"):
        there.copy_(here)
    gpu.captures = False


@pytest.mark.parametrize(("case", "precision"), SWEPT, indirect=["case"])
def test_evaluation(case: Case, nets: dict[bool, Network], precision: Any, gpu: Any) -> None:
    stop, seen = StopRequest(), []

    def collect(outputs: Tensor, targets: Tensor) -> None:
        assert outputs.device == targets.device == gpu.device
        seen.append(outputs.dtype)
        if len(seen) == BATCHES:  # before the result is read
            stop.request()

    found = evaluate(
        placed(nets, precision, gpu.device),
        watched(case, "eval", precision, gpu),
        criterion=case.criterion(gpu.device),
        precision=precision,
        task=case.task,
        stop=stop,
        collect=collect,
    )
    assert found is None
    assert seen == [torch.float32] * BATCHES


def test_large_networks_are_run_files() -> None:
    assert {file.stem for file in RUN_FILES} > LARGE
