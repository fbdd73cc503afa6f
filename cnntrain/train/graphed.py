"""Training steps of small networks, given to the GPU all at once: as CUDA graphs.

A small network's step is some hundred kernels of a few microseconds, and giving them to the GPU
one by one takes longer than computing them. A graph is captured once (its kernels are noted, and
not run), and each later step is one launch of it, over the same memory: the batch is copied into
the inputs that were captured, and the learning rate is read from the device.

Not part of it, and done as ever: the loader, the average of the weights, counting, evaluation.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

from cnntrain.checkpoint import capture_randomness
from cnntrain.checkpoint.digest import digest
from cnntrain.core.errors import ConfigError
from cnntrain.data.batch import Batch
from cnntrain.optim.capturable import keep_rates_on_device
from cnntrain.tasks.criterion import Criterion
from cnntrain.train.learner import Learner
from cnntrain.train.recipe import Recipe
from cnntrain.train.step import BatchResult, take_step

WARM_UP = 3
"""Steps of a kind before it is captured, so that buffers, workspaces and the choice of kernels are
made; torch's number. They count as any other: a run has as many steps as without graphs."""

MOST = 8
"""Kinds of steps that are captured, each in memory of its own: full and last batches, classes and
shares as targets, with and without a norm. Others are done as ever."""

_REMEDY = "set compute.cuda_graphs: false"

Step: TypeAlias = Callable[[], BatchResult]


class NotRepeatableError(ConfigError):
    """A step cannot be captured, or would not be the same when it is repeated."""


class StepGraph(Protocol):
    """Work that is captured once and then repeated, over the same memory."""

    def warm_up(self, step: Step) -> BatchResult:
        """Do the step, where it will be captured."""

    def capture(self, step: Step) -> BatchResult:
        """Note the step's work without doing it; the result is there after a replay."""

    def replay(self) -> None:
        """Do the work that was noted."""


class CudaGraph:
    """torch's CUDA graph, captured on a stream of its own (torch's notes on CUDA semantics)."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch's gap
        self._graph = torch.cuda.CUDAGraph()

    def warm_up(self, step: Step) -> BatchResult:
        """On that stream, between what is before and after it on the current one."""
        around = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(around)
        with torch.cuda.stream(self._stream):
            result = step()
        around.wait_stream(self._stream)
        return result

    def capture(self, step: Step) -> BatchResult:
        """Waits for the device."""
        # thread_local: the thread that pins the loader's batches may use CUDA meanwhile
        with torch.cuda.graph(self._graph, stream=self._stream, capture_error_mode="thread_local"):
            return step()

    def replay(self) -> None:
        """On the current stream."""
        self._graph.replay()


@dataclass
class _Kind:
    """Steps that differ in nothing but values: one graph, once it is captured.

    `addresses` are those that it was captured with, `gradients` what it leaves them in.
    """

    graph: StepGraph
    batch: Batch
    steps: int = 0
    result: BatchResult | None = None
    addresses: dict[str, int] = field(default_factory=dict)
    gradients: list[Tensor | None] = field(default_factory=list)


class GraphedSteps:
    """Takes steps as `take_step` does: the first of a kind so, the others as one launch each.

    Args:
        learner: on a CUDA GPU; its optimizer's learning rates are put there.
    """

    def __init__(self, learner: Learner) -> None:
        keep_rates_on_device(learner.optimizer)
        self._kinds: dict[Hashable, _Kind] = {}
        self._since: Hashable = None
        self._learning: Hashable = None

    def __call__(
        self, learner: Learner, batch: Batch, *, criterion: Criterion, recipe: Recipe, images: int
    ) -> BatchResult:
        """See `take_step`.

        Raises:
            NotRepeatableError: something in the step is not for a graph; says what.
        """
        self._forget_what_changed(learner)

        def step(on: Batch = batch) -> BatchResult:
            return take_step(learner, on, criterion=criterion, recipe=recipe, images=images)

        key = (_form(batch.images), _form(batch.targets), recipe.wants_norm(learner.state.step + 1))
        kind = self._kinds.get(key)
        if kind is None:
            if len(self._kinds) == MOST:
                return step()
            inputs = Batch(*(each.clone() for each in batch))
            kind = self._kinds[key] = _Kind(CudaGraph(learner.device), inputs)
        kind.steps += 1
        if kind.steps <= WARM_UP:
            return _warm_up(kind.graph, step, learner, is_settled=kind.steps == WARM_UP)
        if kind.result is None:
            _capture(kind, lambda: step(kind.batch), learner)
        return _replay(kind, batch, learner)

    def _forget_what_changed(self, learner: Learner) -> None:
        """Drop graphs of other layers that learn, or of memory that is no longer used.

        That happens between epochs only: where layers are unfrozen, and where training goes back.
        """
        state = learner.state
        if self._since == (since := (state.epoch, state.rollbacks)):
            return
        learning = (
            *(each.requires_grad for each in learner.model.parameters()),
            *(each.training for each in learner.model.modules()),
        )
        addresses = _addresses(learner)
        captured = [kind for kind in self._kinds.values() if kind.result is not None]
        if learning != self._learning or any(kind.addresses != addresses for kind in captured):
            self._kinds.clear()
        self._since, self._learning = since, learning


def _warm_up(graph: StepGraph, step: Step, learner: Learner, *, is_settled: bool) -> BatchResult:
    """One step; from the second one on nothing may be new afterwards that the next one reads."""
    before, drawn = _addresses(learner), _randomness_elsewhere(learner.device)
    result = graph.warm_up(step)
    if _randomness_elsewhere(learner.device) != drawn:
        raise NotRepeatableError(
            "a layer, the loss or the optimizer draws random numbers on the CPU, which a CUDA "
            "graph would repeat in each step",
            remedy=f"draw them on the device of the images, or {_REMEDY}",
        )
    if is_settled:
        _refuse_new_memory(before, learner)
    return result


def _capture(kind: _Kind, step: Step, learner: Learner) -> None:
    kind.addresses = _addresses(learner)
    learner.clear_gradients()
    around = sys.exception()
    try:
        kind.result = kind.graph.capture(step)
    except RuntimeError as error:
        first: BaseException = error
        while first.__context__ not in (None, around):  # torch's context manager fails, too
            first = first.__context__
        if isinstance(first, torch.OutOfMemoryError):
            raise first from None
        reason = (str(first).strip() or type(first).__name__).splitlines()[0]
        raise NotRepeatableError(
            f"the training step cannot be captured as a CUDA graph: {reason}",
            remedy=f"what reads a value from the GPU in a step is in its way; {_REMEDY}",
        ) from error
    _refuse_new_memory(kind.addresses, learner)
    kind.gradients = [parameter.grad for parameter in learner.parameters()]


def _replay(kind: _Kind, batch: Batch, learner: Learner) -> BatchResult:
    """One step; what it gives is copied out of the memory that the next one writes to."""
    for inside, given in zip(kind.batch, batch, strict=True):
        inside.copy_(given)
    kind.graph.replay()
    for parameter, gradient in zip(learner.parameters(), kind.gradients, strict=True):
        parameter.grad = gradient
    found = kind.result
    assert found is not None
    loss = found.loss.clone()
    return replace(
        found,
        loss=loss,
        objective=loss if found.objective is found.loss else found.objective.clone(),
        weight=found.weight.clone() if isinstance(found.weight, Tensor) else found.weight,
        outputs=found.outputs.clone(),
        norm=None if found.norm is None else found.norm.clone(),
    )


def _form(tensor: Tensor) -> Hashable:
    return tuple(tensor.shape), tensor.stride(), tensor.dtype


def _refuse_new_memory(before: dict[str, int], learner: Learner) -> None:
    """What lasts must be where it was: a graph reads and writes what it was captured with."""
    after = _addresses(learner)
    for name in [*before, *after]:
        if before.get(name) != after.get(name):
            raise NotRepeatableError(
                f"{name} is another tensor after each step, and a CUDA graph only sees the first",
                remedy=f"change it in place (copy_, add_), or {_REMEDY}",
            )


def _addresses(learner: Learner) -> dict[str, int]:
    """Where everything is that lasts from step to step, by what it is."""
    return {name: tensor.data_ptr() for name, tensor in _lasting(learner)}


def _lasting(learner: Learner) -> Iterator[tuple[str, Tensor]]:
    yield from learner.named_tensors()
    yield "the flag of divergence", learner.state.diverged
    for number, group in enumerate(learner.optimizer.param_groups):
        yield f"the learning rate of group {number}", group["lr"]
    if learner.scaler.is_enabled():
        for name in ("_scale", "_growth_tracker"):
            yield f"the scaler's {name}", getattr(learner.scaler, name)


def _randomness_elsewhere(device: torch.device) -> str:
    """A digest of all generators but the device's own, whose numbers a graph draws again."""
    own = "cuda" if device.type == "cuda" else "torch"
    return digest({name: part for name, part in capture_randomness().items() if name != own})
