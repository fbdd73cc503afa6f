"""The processes that train one network together: all that is done with torch.distributed.

Gradients are averaged by torch's DistributedDataParallel. Everything else that the processes must
agree on (sums, statistics, whether to stop) goes through one of the few methods here, so that at
each event of the loop all of them hold the same state, and what the first one saves is that of all.
With a single process nothing is communicated and nothing costs anything.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from inspect import signature
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from cnntrain.checkpoint import seed_randomness
from cnntrain.core.errors import CnntrainError, ProcessLostError, UsageError
from cnntrain.core.launch import launched
from cnntrain.core.seeding import derive_seed
from cnntrain.data.share import ShareOfBatch

TIMEOUT = timedelta(minutes=10)
"""How long a process waits for the others before it gives up on them."""

_KEYWORDS = signature(DistributedDataParallel).parameters
_OWN_BUFFERS: dict[str, Any] = {
    # the name of torch 2.14, and that before; the step averages buffers, see `train/step.py`
    "forward_sync_buffers" if "forward_sync_buffers" in _KEYWORDS else "broadcast_buffers": False
}

T = TypeVar("T")


@dataclass(frozen=True)
class Processes:
    """The processes that train together, as one of them sees them; by default it is alone.

    Args:
        index: of this one, from 0; the first one records, and writes the checkpoints.
        count: of all.
        index_here: of this one on its machine.
        count_here: of those on its machine.
    """

    index: int = 0
    count: int = 1
    index_here: int = 0
    count_here: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the one that records."""
        return self.index == 0

    @property
    def is_alone(self) -> bool:
        """Whether there is no other."""
        return self.count == 1

    @property
    def share(self) -> ShareOfBatch:
        """What this one reads of each batch."""
        return ShareOfBatch(self.index, self.count, self.count_here)

    def wrapped(self, net: nn.Module, device: torch.device) -> nn.Module:
        """The network whose backward pass averages the gradients over the processes.

        Call it again when other parameters have `requires_grad`. All processes begin with the
        weights of the first.
        """
        if self.is_alone:
            return net
        with lost_processes():
            return DistributedDataParallel(
                net,
                device_ids=[device] if device.type == "cuda" else None,
                gradient_as_bucket_view=True,
                **_OWN_BUFFERS,
            )

    def total(self, values: Tensor) -> Tensor:
        """The sum over the processes, the same in all of them; without waiting for the device."""
        if not self.is_alone:
            with lost_processes():
                dist.all_reduce(values)
        return values

    def gathered(self, values: Tensor) -> Tensor:
        """The rows of all processes, one process below the other, the same in all of them.

        Each may have another number of rows, or none. The memory is that of all of them.
        """
        counts = torch.zeros(self.count, dtype=torch.int64, device=values.device)
        counts[self.index] = len(values)
        lengths = self.total(counts).tolist()
        whole = values.new_zeros(sum(lengths), *values.shape[1:])
        start = sum(lengths[: self.index])
        whole[start : start + len(values)] = values
        return self.total(whole)

    def largest(self, value: int) -> int:
        """The largest that any of them has; through the host, so that no device is waited for."""
        if self.is_alone:
            return value
        found = torch.tensor(value)
        with lost_processes():
            dist.all_reduce(found, dist.ReduceOp.MAX)
        return int(found)

    def of_first(self, value: T) -> T:
        """What the first process has, in all of them: plain values and tensors on the CPU."""
        if self.is_alone:
            return value
        box = [value]
        with lost_processes():
            dist.broadcast_object_list(box, device=torch.device("cpu"))
        return box[0]

    @torch.no_grad()
    def copy_first(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by that of the first process."""
        if self.is_alone:
            return
        with lost_processes():
            for tensor in tensors:
                plain = tensor.contiguous()  # as it is, whatever the memory format
                dist.broadcast(plain, 0)
                tensor.copy_(plain)

    def seed_step(self, seed: int, step: int) -> None:
        """What layers draw in a step (dropout) follows from the run's seed, step and process.

        So a resumed run draws the same, though a checkpoint has the state of one process only. A
        single process draws on from where it is.
        """
        if not self.is_alone:
            seed_randomness(derive_seed(seed, "step", step, self.index))

    def one_of(self, error: CnntrainError | None) -> CnntrainError | None:
        """The error of the first process that has one, in all of them."""
        if self.is_alone:
            return error
        found: list[Any] = [None] * self.count
        with lost_processes():
            dist.all_gather_object(found, error)
        return next((each for each in found if each is not None), None)

    @torch.no_grad()
    def average(self, tensors: Sequence[Tensor], *, weight: float, of: float) -> None:
        """Replace each tensor by its mean over the processes, weighted by `weight / of`.

        The weights of all processes add up to `of`.
        """
        if self.is_alone or not tensors:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        self.total(flat.mul_(weight / of))
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))


ALONE = Processes()


def unshared(net: nn.Module) -> AbstractContextManager[None]:
    """While parts of a batch go through: the gradient stays in this process until the last one."""
    no_sync = getattr(net, "no_sync", None)  # torch.compile's wrapper passes it on
    return nullcontext() if no_sync is None else no_sync()


@contextmanager
def joined() -> Iterator[Processes]:
    """Join the processes that torchrun has started; alone where it has not.

    NCCL carries what is on GPUs, gloo what is on the host.

    Raises:
        ProcessLostError: the others cannot be reached.
    """
    launch = launched()
    if launch.count == 1:
        yield ALONE
        return
    on_gpus = torch.cuda.is_available() and dist.is_nccl_available()
    if on_gpus:
        torch.cuda.set_device(launch.index_here % torch.cuda.device_count())
    if missing := [name for name in ("MASTER_ADDR", "MASTER_PORT") if name not in os.environ]:
        raise UsageError(
            f"WORLD_SIZE={launch.count} asks for several processes, but {missing[0]} is not set",
            remedy="start them with torchrun, or unset WORLD_SIZE",
        )
    with lost_processes():
        # torchrun keeps its store when it starts the processes again: what those before have left
        # there (addresses) must not be found
        store = next(dist.rendezvous("env://", timeout=TIMEOUT))[0]  # type: ignore[attr-defined]  # torch's gap
        own = dist.PrefixStore(f"cnntrain/{launch.attempt}/{launch.count}", store)  # type: ignore[attr-defined]
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if on_gpus else "gloo",
            store=own,
            rank=launch.index,
            world_size=launch.count,
            timeout=TIMEOUT,
        )
    yield Processes(launch.index, launch.count, launch.index_here, launch.count_here)
    dist.destroy_process_group()  # not after an error: the others may be waiting in a call


@contextmanager
def lost_processes() -> Iterator[None]:
    """What torch reports of a process that is gone becomes a ProcessLostError."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        if not _is_about_others(error):
            raise
        line = str(error).strip().partition("\n")[0]
        reason = re.sub(r"^\[\S+\] ", "", line).partition(". ")[0]
        raise ProcessLostError(
            f"another process of this training has ended or does not answer: {reason}",
            remedy="look for its message; `--resume auto` continues from the last checkpoint",
        ) from error


def _is_about_others(error: Exception) -> bool:
    text = str(error).lower()
    return isinstance(error, dist.DistError) or any(word in text for word in _OF_OTHERS)


_OF_OTHERS = ("gloo", "nccl", "connection closed by peer", "connection reset by peer", "tcpstore")


def is_first_to_fail() -> bool:
    """Whether none of the processes has said yet why it ends: then this one does.

    Asked of the store that torchrun keeps, which outlives the processes. True where it is gone.
    """
    launch = launched()
    if launch.count == 1:
        return True
    host, port = os.environ.get("MASTER_ADDR", ""), os.environ.get("MASTER_PORT", "")
    try:
        store = dist.TCPStore(  # type: ignore[attr-defined]  # torch's gap
            host, int(port), is_master=False, wait_for_workers=False, timeout=timedelta(seconds=2)
        )
        return store.add(f"cnntrain/failed/{launch.attempt}", 1) == 1
    except (RuntimeError, ValueError):
        return True
