"""A GPU that is only pretended: nothing is computed, and what would make the host wait is refused.

On `cuda:0` a tensor has a shape and a type and no values (torch's FakeTensorMode, which needs no
driver); what is on the CPU is real. Stand-ins are needed where there is nothing to pretend: the
backward pass, because autograd's engine asks for the driver (`hasPrimaryContext`); the fused SGD,
which has no fake kernel, nor has the fused Adam for a rate on the device; pinned memory, generators
of numbers and graphs, which the driver makes. So this shows where tensors are and what waits for
what, and nothing of the numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import (
    FakeTensor,
    FakeTensorMode,
    unset_fake_temporarily,
)
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.data import dataloader

from cnntrain.data import on_device
from cnntrain.show import pixels
from cnntrain.train import finite, graphed

NO_KERNEL = {
    "_unsafe_view", "device", "empty", "empty_like", "empty_strided", "lift_fresh", "new_empty",
}  # fmt: skip
"""Operations that compute nothing, besides the views."""
SEVERAL = {"constant_pad_nd": 2}
"""Operations of more than one kernel: here one fills, and one copies."""

has_kernel = torch._C._dispatch_has_kernel_for_dispatch_key
COMPOSITE = "CompositeImplicitAutograd"


class WaitError(AssertionError):
    """The host would wait for the GPU."""


class StandIn(torch.Generator):
    """A generator of a device: in truth one of the CPU, whose numbers nobody sees."""

    device = torch.device("cuda:0")  # type: ignore[assignment]


class Draws(TorchFunctionMode):
    """As torch does, refuse numbers on one device from the generator of another."""

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if (generator := given.get("generator")) is not None:
            on_gpu = any(isinstance(each, FakeTensor) for each in args)
            on_gpu = on_gpu or torch.device(given.get("device") or "cpu").type == "cuda"
            if on_gpu != isinstance(generator, StandIn):
                raise RuntimeError("numbers on one device from the generator of another")
            given["generator"] = None if on_gpu else generator
        return func(*args, **given)


class Pretended(TorchDispatchMode):
    """Notes each kernel, and refuses what waits.

    Attributes:
        device: `cuda:0`.
        kernels: names of the operations that a GPU would be given.
        strict: whether copies from memory that is not pinned are refused, too.
        captures: whether all that takes part must be on the device: a graph would keep a number of
            the host's for ever, pinned or not.
    """

    WaitError = WaitError

    def __init__(self) -> None:
        super().__init__()
        self.device = torch.device("cuda:0")
        self.kernels: list[str] = []
        self.strict = self.captures = False
        self.pinned: dict[int, Tensor] = {}

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        leaves = tree_leaves((args, given))
        fakes = [each for each in leaves if isinstance(each, FakeTensor)]
        named = [each for each in leaves if isinstance(each, torch.device) and each.type == "cuda"]
        if not fakes and not named:
            with unset_fake_temporarily():
                return func(*args, **given)
        is_composite = func.namespace == "aten" and has_kernel(func.name(), COMPOSITE)
        if is_composite:  # in inference mode they come undivided
            with self:
                return func.decompose(*args, **given)
        name = func.overloadpacket.__name__
        if name in ("_local_scalar_dense", "equal", "is_nonzero", "item"):
            raise WaitError(f"{name} reads from the GPU")
        host = [e for e in leaves if isinstance(e, Tensor) and not isinstance(e, FakeTensor)]
        if self.captures and host:
            raise WaitError(f"{name} is given {[tuple(e.shape) for e in host]} of the host")
        if name in ("_to_copy", "copy_"):
            self._look_at_copy(host)
        result = func(*args, **given)
        if any(isinstance(e, Tensor) and e.device.type == "cpu" for e in tree_leaves(result)):
            raise WaitError(f"{name} brings {[tuple(e.shape) for e in fakes]} to the host")
        if not func.is_view and name not in NO_KERNEL:
            self.kernels += [name] * SEVERAL.get(name, 1)
        return result

    def _look_at_copy(self, host: Sequence[Tensor]) -> None:
        if self.strict and any(id(each) not in self.pinned for each in host):
            raise WaitError(
                f"a copy of {[tuple(each.shape) for each in host]} is not of pinned memory"
            )

    @contextmanager
    def watching(self) -> Iterator[None]:
        """From now on the work of a batch: nothing may wait, and the kernels are counted anew."""
        self.strict = True
        self.kernels.clear()
        yield
        self.strict = False

    def learning(self, net: nn.Module) -> Callable[..., None]:
        """The stand-in for `Tensor.backward`: every weight that learns has a gradient."""

        def backward(tensor: Tensor) -> None:
            assert tensor.requires_grad
            assert tensor.ndim == 0
            for parameter in net.parameters():
                if parameter.requires_grad:
                    parameter.grad = torch.empty_like(parameter)

        return backward


def fused_sgd(params: list[Tensor], grads: list[Tensor], buffers: list[Tensor], **how: Any) -> None:
    """The stand-in for the kernel: all is where it should be."""
    look_at_fused(params, (grads, buffers), how)


def fused_adam(real: Callable[..., None]) -> Callable[..., None]:
    """The stand-in for Adam's kernels where they read the rate on the device, which has no fake."""

    def step(params: list[Tensor], *others: list[Tensor], **how: Any) -> None:
        if not isinstance(how["lr"], Tensor):
            return real(params, *others, **how)
        *shaped, steps = others
        assert all((each.device, each.ndim) == (params[0].device, 0) for each in steps)
        return look_at_fused(params, shaped, how)

    return step


def look_at_fused(
    params: list[Tensor], others: Sequence[list[Tensor]], how: Mapping[str, Any]
) -> None:
    for tensors in others:
        for tensor, parameter in zip(tensors, params if tensors else [], strict=True):
            assert (tensor.device, tensor.shape) == (parameter.device, parameter.shape)
    single = [how.get("grad_scale"), how.get("found_inf"), how["lr"]]
    single = [each for each in single if isinstance(each, Tensor)]
    assert all((each.device, each.ndim) == (params[0].device, 0) for each in single)


class NotedGraph:
    """The stand-in for a CUDA graph: what it captures may only take what is on the device."""

    def __init__(self, gpu: Pretended) -> None:
        self._gpu = gpu
        self.captured: list[str] = []
        self.replays = 0

    def warm_up(self, step: Callable[[], Any]) -> Any:
        """Do the step."""
        return step()

    def capture(self, step: Callable[[], Any]) -> Any:
        """Do the step, and note its kernels."""
        self._gpu.kernels.clear()
        self._gpu.captures = True
        result = step()
        self._gpu.captures = False
        self.captured = list(self._gpu.kernels)
        self._gpu.kernels.clear()
        return result

    def replay(self) -> None:
        """One launch."""
        self.replays += 1


class Pinning(dataloader._SingleProcessDataLoaderIter):
    """Pins where it is asked to, though torch finds no GPU."""

    def __init__(self, loader: Any) -> None:
        wanted, loader.pin_memory = loader.pin_memory, False
        super().__init__(loader)
        self._pin_memory = loader.pin_memory = wanted


@pytest.fixture
def noted(gpu: Pretended, monkeypatch: pytest.MonkeyPatch) -> list[NotedGraph]:
    """The graphs that are made, each a stand-in; of a tensor its memory stands for its address."""
    made: list[NotedGraph] = []

    def make(device: torch.device) -> NotedGraph:
        assert device == gpu.device
        made.append(NotedGraph(gpu))
        return made[-1]

    def places(learner: Any) -> dict[str, int]:
        found = {n: each for n, each in graphed._lasting(learner) if not n.startswith("average")}
        if learner.ema is not None:  # what its state_dict detaches has another memory here
            average = learner.ema.model
            found |= {**dict(average.named_parameters()), **dict(average.named_buffers())}
        return {name: tensor.untyped_storage()._cdata for name, tensor in found.items()}

    monkeypatch.setattr(graphed, "CudaGraph", make)
    monkeypatch.setattr(graphed, "_addresses", places)
    return made


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pretended]:
    """While this is there, `cuda:0` is."""
    if torch.cuda.is_available():
        pytest.skip("there is a real one here")
    generator, pretended = torch.Generator, Pretended()

    class Made(
        generator
    ):  # a class, since modules of torch that are imported here annotate with it
        def __new__(cls, device: torch.device | str = "cpu") -> Any:
            return generator() if torch.device(device).type == "cpu" else StandIn()

    def pin(tensor: Tensor) -> Tensor:
        pretended.pinned[id(tensor)] = tensor
        return tensor

    monkeypatch.setattr(torch, "Generator", Made)
    monkeypatch.setattr(torch, "_fused_sgd_", fused_sgd)
    for name in ("_fused_adam_", "_fused_adamw_"):
        monkeypatch.setattr(torch, name, fused_adam(getattr(torch, name)))
    monkeypatch.setattr(torch.Tensor, "pin_memory", pin)
    monkeypatch.setattr(dataloader, "_SingleProcessDataLoaderIter", Pinning)
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **how: True)
    kept = (on_device.constant, on_device.middles, finite._one, pixels.column)
    for each in kept:
        each.cache_clear()
    with FakeTensorMode(allow_non_fake_inputs=True), Draws(), pretended:
        yield pretended
    for each in kept:
        each.cache_clear()
