"""How many images per second a network takes on this machine, in training and after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import torch
from torch import Tensor

from cnntrain.arch.plan import Plan
from cnntrain.assemble.networks import make_network
from cnntrain.assemble.translation import place, uses_channels_last
from cnntrain.config.schema import ComputeSection
from cnntrain.core.errors import MemoryExhaustedError, UsageError
from cnntrain.core.memory import is_out_of_memory

WARM_UP, LEAST, MOST = 2, 3, 50
"""Steps before the measurement, and in it."""

SECONDS = 2.0
"""That a measurement takes if its steps are neither too few nor too many."""

Clock = Callable[[], float]


@dataclass(frozen=True)
class ImagesPerSecond:
    """Images per second: in a training step, and in evaluation."""

    training: float
    inference: float


def measure_speed(
    plan: Plan, *, batch: int, device: torch.device, clock: Clock = perf_counter
) -> ImagesPerSecond:
    """Time a planned network with initial weights on random images, laid out as `fit` does it.

    A training step is forward, backward and the update of SGD with momentum, in float32; loading
    images is no part of it. After a warm-up the median of the steps counts.

    Args:
        plan: of the network.
        batch: images at once: two or more, since batch normalisation may need them.
        device: where it is computed.
        clock: seconds; it is read around each step.

    Raises:
        UsageError: the network has nothing to train.
        MemoryExhaustedError: the images do not fit into memory.
    """
    if not plan.parameters:
        remedy = "leave it out, or --time"
        raise UsageError("a network without parameters cannot be trained", remedy=remedy)
    compute, net = ComputeSection(precision="float32"), make_network(plan, seed=0)
    place(net, compute=compute, device=device)
    layout = uses_channels_last(compute, device)
    random = torch.Generator().manual_seed(0)
    images = torch.randn(batch, *plan.body.in_shape, generator=random).to(
        device, memory_format=torch.channels_last if layout else torch.contiguous_format
    )
    optimizer = torch.optim.SGD(net.parameters(), lr=0.0, momentum=0.9, fused=True)

    def train() -> None:
        optimizer.zero_grad(set_to_none=True)
        outputs = net(images)
        logits, heads = outputs if isinstance(outputs, tuple) else (outputs, ())
        objective = torch.stack([_loss(each) for each in (logits, *heads)]).sum()
        objective.backward()  # type: ignore[no-untyped-call]  # torch's gap
        optimizer.step()

    @torch.inference_mode()
    def infer() -> None:
        net(images)

    try:
        net.train()
        training = _seconds(train, device=device, clock=clock)
        net.eval()
        inference = _seconds(infer, device=device, clock=clock)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise MemoryExhaustedError(
            f"{batch} images at once do not fit into memory", remedy=f"take --batch {batch // 2}"
        ) from error
    return ImagesPerSecond(batch / training, batch / inference)


def _loss(outputs: Tensor) -> Tensor:
    """A number whose gradient goes everywhere, whatever the network is for."""
    return outputs.float().square().mean()


def _seconds(step: Callable[[], None], *, device: torch.device, clock: Clock) -> float:
    """The median time of a step."""
    for _ in range(WARM_UP):
        step()
    _finish(device)
    times: list[float] = []
    while len(times) < LEAST or (len(times) < MOST and sum(times) < SECONDS):
        began = clock()
        step()
        _finish(device)
        times.append(clock() - began)
    return median(times)


def _finish(device: torch.device) -> None:
    """Wait until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
