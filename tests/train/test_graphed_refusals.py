"""What is not for a CUDA graph is found before it is repeated, or left to ordinary steps."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from on_gpu.tape import Tape
from torch import Tensor, nn

from cnntrain.data.batch import Batch
from cnntrain.optim import parameter_groups
from cnntrain.optim.optimizers.sgd import sgd
from cnntrain.tasks.losses.cross_entropy import CrossEntropy
from cnntrain.train import Learner, Recipe, StepDone, graphed, train
from cnntrain.train.graphed import MOST, WARM_UP, CudaGraph, NotRepeatableError


class Replacing(nn.Module):
    """Keeps a mean in another tensor after each step."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.mean = 0.9 * self.mean + 0.1 * x.detach().mean()
        return x - self.mean


class Reading(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x / float(x.detach().abs().max())


class Drawing(nn.Module):
    def __init__(self, draw: Callable[[], float]) -> None:
        super().__init__()
        self.draw = draw

    def forward(self, x: Tensor) -> Tensor:
        return x * (0.5 + self.draw())


class Batches:
    """Of these numbers of images, in one epoch."""

    def __init__(self, *sizes: int) -> None:
        self._sizes = sizes
        self.size, self.batches_per_epoch = sum(sizes), len(sizes)

    def batches(self, epoch: int, *, start: int = 0) -> Iterator[Batch]:
        for size in self._sizes[start:]:
            yield Batch(torch.randn(size, 5), torch.arange(size) % 3)


@pytest.fixture
def tapes(monkeypatch: pytest.MonkeyPatch) -> list[Tape]:
    made: list[Tape] = []

    def make(device: torch.device) -> Tape:
        made.append(Tape(device))
        return made[-1]

    monkeypatch.setattr(graphed, "CudaGraph", make)
    return made


def steps_with(layer: nn.Module, *sizes: int) -> list[StepDone]:
    net = nn.Sequential(nn.Linear(5, 4), layer, nn.Linear(4, 3))
    events = train(
        Learner(net, sgd(groups=parameter_groups(net))),
        recipe=Recipe(epochs=1, lr=0.1, cuda_graphs=True),
        criterion=CrossEntropy(),
        loader=Batches(*sizes or (4,) * (WARM_UP + 2)),
    )
    return [event for event in events if isinstance(event, StepDone)]


def test_a_buffer_that_is_replaced_is_named(tapes: list[Tape]) -> None:
    with pytest.raises(NotRepeatableError, match=r"statistic '1\.mean' is another tensor") as e:
        steps_with(Replacing())
    assert "in place" in str(e.value.problems[0].remedy)


def test_a_layer_that_reads_a_value(tapes: list[Tape]) -> None:
    with pytest.raises(
        NotRepeatableError, match="cannot be captured as a CUDA graph: operation not"
    ):
        steps_with(Reading())


@pytest.mark.parametrize("draw", [random.random, np.random.random], ids=["python", "numpy"])
def test_a_layer_that_draws_on_the_host(tapes: list[Tape], draw: Callable[[], float]) -> None:
    with pytest.raises(NotRepeatableError, match="draws random numbers on the CPU"):
        steps_with(Drawing(draw))


@pytest.mark.parametrize("first", [ValueError("the first\nand more"), torch.OutOfMemoryError("it")])
def test_the_first_fault_is_said_and_not_what_follows_from_it(first: Exception) -> None:
    """As torch's context manager fails at its end, after what is in it; here inside of a third."""

    def fail(step: Callable[[], object]) -> None:
        try:
            raise first
        finally:
            raise RuntimeError("capture failed")

    net = nn.Linear(1, 1)
    learner = Learner(net, sgd(groups=parameter_groups(net)))
    graphed.GraphedSteps(learner)
    graph: Any = SimpleNamespace(capture=fail)
    kind = graphed._Kind(graph, Batch(torch.zeros(1), torch.zeros(1)))
    is_memory = isinstance(first, torch.OutOfMemoryError)
    expected = torch.OutOfMemoryError if is_memory else NotRepeatableError
    words = r"^it$" if is_memory else r"graph: the first; what reads"
    try:
        raise KeyError("another")
    except KeyError:
        with pytest.raises(expected, match=words):
            graphed._capture(kind, lambda: None, learner)  # type: ignore[arg-type,return-value]


def test_of_too_many_kinds_the_last_ones_are_taken_as_ever(tapes: list[Tape]) -> None:
    sizes = [size for size in range(1, MOST + 3) for _ in range(WARM_UP + 2)]
    steps = steps_with(nn.ReLU(), *sizes)
    assert len(steps) == len(sizes)
    assert [each.plays for each in tapes] == [2] * MOST


def test_what_torch_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The order of things on streams, on a torch.cuda that only notes it: none is here."""
    said: list[str] = []

    class Stream:
        def __init__(self, name: str) -> None:
            self.name = name

        def wait_stream(self, other: Stream) -> None:
            said.append(f"{self.name} waits for {other.name}")

    class Captured:
        def replay(self) -> None:
            said.append("replay")

    @contextmanager
    def on(what: Any, **how: Any) -> Iterator[None]:
        where = how.pop("stream", what)
        said.append(f"on {where.name} {sorted(how.values())}")
        yield
        said.append(f"off {where.name}")

    names = {
        "Stream": lambda device: Stream("side"),
        "current_stream": lambda device: Stream("usual"),
        "CUDAGraph": Captured,
        "stream": on,
        "graph": on,
    }
    for name, stand_in in names.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    graph = CudaGraph(torch.device("cuda"))
    assert graph.warm_up(lambda: said.append("step") or 1) == 1  # type: ignore[func-returns-value]
    assert said == [
        "side waits for usual",
        "on side []",
        "step",
        "off side",
        "usual waits for side",
    ]
    said.clear()
    assert graph.capture(lambda: 2) == 2
    graph.replay()
    assert said == ["on side ['thread_local']", "off side", "replay"]
