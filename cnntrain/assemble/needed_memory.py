"""The memory that a training needs, and what to do where there is not so much: by the cause."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from cnntrain.arch.activation_memory import FLOAT32, activation_bytes
from cnntrain.arch.plan import Plan
from cnntrain.assemble.make_parts import make_optimizer
from cnntrain.config.loaded import Loaded
from cnntrain.core.errors import MemoryExhaustedError
from cnntrain.core.launch import launched
from cnntrain.core.memory import host_memory, is_out_of_memory
from cnntrain.core.units import byte_size
from cnntrain.optim import parameter_groups
from cnntrain.train import choose_precision

MODEL, STATE, ACTIVATIONS = "weights and gradients", "the optimizer's state", "activations"


@dataclass(frozen=True)
class Needed:
    """Bytes, roughly, by what they are for.

    Args:
        parts: all that training keeps; what is needed only for a moment is not counted.
        batch: images that go through the network at once.
        kept_by: the layer with most of the activations.
        large: the layer with most of the parameters, and their number.
    """

    parts: dict[str, int]
    batch: int
    kept_by: str
    large: tuple[str, int]

    @property
    def total(self) -> int:
        """Of all parts."""
        return sum(self.parts.values())

    @property
    def largest(self) -> str:
        """The part that needs most."""
        return max(self.parts, key=lambda name: self.parts[name])

    def __str__(self) -> str:
        parts = sorted(self.parts.items(), key=lambda part: -part[1])
        return ", ".join(f"{byte_size(count)} for {name}" for name, count in parts if count)


def needed_memory(loaded: Loaded, plan: Plan, *, device: torch.device | None = None) -> Needed:
    """What the training of a planned network needs, at the run file's batch size and precision.

    Of several processes that were started, what each needs.

    Args:
        loaded: the run file.
        plan: of the network.
        device: where it is trained; None: where the run file means it.
    """
    config = loaded.config
    parts, batch = {MODEL: FLOAT32 * (plan.parameters + plan.buffers)}, 1
    if config.train is not None:
        slice_ = math.ceil(config.data.batch / launched().count)
        batch = math.ceil(slice_ / config.train.accumulate)
        parts = weight_memory(plan, remembered=_numbers_per_weight(loaded))
    kept = activation_bytes(plan, batch=batch)
    precision = choose_precision(config.compute.precision, device or _meant(loaded))
    halved = 1 if precision == "float32" else 2
    parts[ACTIVATIONS] = kept.total() // halved
    leaves = [(name, node.parameters) for name, node in plan.walk() if not node.nested]
    return Needed(
        parts=parts,
        batch=batch,
        kept_by=max(kept, key=lambda name: kept[name], default=""),
        large=max(leaves, key=lambda leaf: leaf[1]),
    )


def weight_memory(plan: Plan, *, remembered: int) -> dict[str, int]:
    """Bytes that training needs for the weights, their gradients, and what the optimizer remembers.

    Args:
        plan: of the network.
        remembered: numbers for each weight: 1 for SGD with momentum, 2 for Adam.
    """
    return {
        MODEL: FLOAT32 * (2 * plan.parameters + plan.buffers),
        STATE: FLOAT32 * plan.parameters * remembered,
    }


def _meant(loaded: Loaded) -> torch.device:
    """The device of a run file, without a look at whether its GPU is there."""
    on_gpu = loaded.config.compute.device != "cpu" and torch.cuda.is_available()
    return torch.device("cuda" if on_gpu else "cpu")


def _numbers_per_weight(loaded: Loaded) -> int:
    """How many numbers the optimizer remembers for each weight.

    torch's commonest are known: their first step imports torch's compiler, which takes a second.
    Others are tried on a few weights.
    """
    chosen = loaded.train.optimizer
    if chosen.name in ("adam", "adamw"):
        return 2
    if chosen.name == "sgd":
        return int(chosen.parameters["momentum"] > 0)
    net = nn.Linear(8, 8, bias=False)
    optimizer = make_optimizer(loaded, groups=parameter_groups(net))
    net.weight.grad = torch.zeros_like(net.weight)
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    optimizer.step()
    remembered = [value for state in optimizer.state.values() for value in state.values()]
    numbers = sum(value.numel() for value in remembered if isinstance(value, torch.Tensor))
    return numbers // net.weight.numel()  # single numbers, such as a count of steps, apart


def refuse_too_large(loaded: Loaded, plan: Plan, *, device: torch.device) -> None:
    """Refuse, before anything is allocated, a network whose weights alone do not fit.

    Raises:
        MemoryExhaustedError: they need more than the whole memory of the device, or of the host,
            where they are made first.
    """
    weights = FLOAT32 * (plan.parameters + plan.buffers)
    for where, there in _memories(device):
        if there is not None and weights > there:
            needed = needed_memory(loaded, plan, device=device)
            raise MemoryExhaustedError(
                f"the network does not fit into memory: its weights alone are "
                f"{byte_size(weights)}, and {where} has {byte_size(there)}",
                remedy=_smaller_network(needed, plan),
            )


def memory_note(loaded: Loaded, plan: Plan, needed: Needed) -> str:
    """That training needs more than there is on this machine, and what to do; empty if it fits.

    Whether it is then refused is `fit`'s to say: it may be meant for another machine.
    """
    *_, (where, there) = _memories(_meant(loaded))
    if there is None or needed.total <= there:
        return ""
    has = f"and {where} has {byte_size(there)}"
    return f"training needs about {needed}, {has}; {_remedy(needed, plan)}"


def memory_errors(
    loaded: Loaded, plan: Plan, *, device: torch.device
) -> AbstractContextManager[None]:
    """Where the memory is used up, say what of the training needs most, and what to do about it.

    Raises:
        MemoryExhaustedError: in place of Python's or torch's own error.
    """

    def said(error: Exception) -> MemoryExhaustedError:
        needed = needed_memory(loaded, plan, device=device)
        on_gpu = type(error).__name__ == "OutOfMemoryError" or "CUDA" in str(error)
        *_, (where, there) = _memories(device if on_gpu else torch.device("cpu"))
        has = "" if there is None else f" ({byte_size(there)} in all)"
        return MemoryExhaustedError(
            f"the memory of {where}{has} is used up: training needs about {needed}",
            remedy=_remedy(needed, plan) + (", or compute.device: cpu" if on_gpu else ""),
        )

    return _where_used_up(said)


def image_memory_errors(loaded: Loaded) -> AbstractContextManager[None]:
    """Where the memory is used up while data are opened, the images are the cause.

    Raises:
        MemoryExhaustedError: in place of Python's or torch's own error.
    """
    data = loaded.config.data
    streams = "" if data.memory == "stream" else "set data.memory: stream where they are files, or "
    said = MemoryExhaustedError(
        f"the images of data.name: {data.name} do not fit into memory",
        remedy=f"{streams}use fewer or smaller images",
    )
    return _where_used_up(lambda _: said)


@contextmanager
def _where_used_up(say: Callable[[Exception], MemoryExhaustedError]) -> Iterator[None]:
    """Raise what is to be said in place of any library's error of memory that is used up."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise say(error) from error


def _memories(device: torch.device) -> Iterator[tuple[str, int | None]]:
    """The host's memory, and the device's if it has its own."""
    yield "this machine", host_memory()
    if device.type == "cuda":
        found = torch.cuda.get_device_properties(device)
        yield f"the GPU ({found.name})", found.total_memory


def device_memory(device: torch.device) -> int | None:
    """Bytes that there are on a device, the host's own on a CPU; None where that is unknown."""
    *_, (_, there) = _memories(device)
    return there


def _remedy(needed: Needed, plan: Plan) -> str:
    if needed.largest == MODEL:
        return _smaller_network(needed, plan)
    if needed.largest == STATE:
        return f"choose an optimizer that remembers less, or {_smaller_network(needed, plan)}"
    if needed.batch > 1:
        return (
            f"use a smaller data.batch_size, or train.accumulate to pass each batch in parts of "
            f"fewer than {needed.batch} images, or compute.precision: bfloat16"
        )
    return (
        "use smaller images, or shrink them in the network before "
        f"'{needed.kept_by}', whose output needs most"
    )


def _smaller_network(needed: Needed, plan: Plan) -> str:
    """The layer that has most of the weights, and why, where that is the number of classes."""
    name, count = needed.large
    classes = plan.description.facts.num_classes or 0
    share = f"'{name}', which has {count / max(1, plan.parameters):.0%} of its parameters"
    node = dict(plan.walk())[name]
    if node.out_shape == (classes,) and classes > math.prod(node.in_shapes[0]):
        return f"use fewer than {classes:,} classes: {share}, has an output for each"
    return f"make the network smaller, first {share}"
