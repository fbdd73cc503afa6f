"""How exactly a machine computes: the precision of the forward pass, and repeatable kernels."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Literal, TypeAlias

import torch

from cnntrain.checkpoint import capture_randomness, restore_randomness
from cnntrain.core.errors import ConfigError

Precision: TypeAlias = Literal["float32", "bfloat16", "float16"]
"""Of the forward pass; weights, gradients and optimizer stay float32."""

LEAST_SCALE = 1.0
"""Of the loss in float16. It begins at 65,536 and is halved where gradients are not finite: 17 such
steps in a row take it below this, and then it is not the scale that makes them so."""

_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}
_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"


def choose_precision(wanted: Precision | Literal["auto"], device: torch.device) -> Precision:
    """What `auto` means on a device: bfloat16 on a CUDA GPU that computes in it, else float32.

    CPUs are left at float32: most emulate bfloat16, and are slower in it.
    """
    if wanted != "auto":
        return wanted
    has_it = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bfloat16" if has_it else "float32"


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """The context of a forward pass: torch's autocast, or nothing for float32."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=_DTYPES[precision])


def grad_scaler(precision: Precision, device: torch.device) -> torch.amp.GradScaler:
    """Scales the loss for float16, whose small gradients would be 0; does nothing otherwise."""
    return torch.amp.GradScaler(device.type, enabled=precision == "float16")


def make_deterministic(deterministic: bool) -> None:
    """Switch deterministic kernels on or off, for the whole process.

    On: an operation that has no deterministic kernel raises torch's RuntimeError with its name, and
    cuDNN picks its kernels by rule. Off: cuDNN times its kernels and picks the fastest.
    Must come before the first use of CUDA: cuBLAS reads its workspace setting only once.
    """
    if deterministic and _WORKSPACE not in os.environ:
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]  # torch's gap
            raise ConfigError(
                "deterministic mode was asked for after CUDA had started",
                remedy=f"set {_WORKSPACE}=:4096:8 in the environment",
            )
        os.environ[_WORKSPACE] = ":4096:8"
    _set_deterministic(2 if deterministic else 0)
    torch.backends.cudnn.deterministic = deterministic
    torch.backends.cudnn.benchmark = not deterministic


@contextmanager
def undisturbed() -> Iterator[None]:
    """Random states, threads and flags of the process are afterwards as they were before.

    Those of torch (CPU and CUDA), of Python's `random` and of numpy. Only the environment variable
    that `make_deterministic` sets stays: CUDA reads it once.
    """
    state, threads = capture_randomness(), torch.get_num_threads()
    deterministic = torch.get_deterministic_debug_mode()
    cudnn = torch.backends.cudnn
    flags = (cudnn.deterministic, cudnn.benchmark)
    try:
        yield
    finally:
        restore_randomness(state)
        if not state["cuda"]:  # not started before: its generators begin with the CPU's seed
            torch.cuda.manual_seed_all(torch.initial_seed())
        torch.set_num_threads(threads)
        _set_deterministic(deterministic)
        cudnn.deterministic, cudnn.benchmark = flags


def _set_deterministic(mode: int) -> None:
    """0: off, 1: warns, 2: on; only where it changes, because torch imports its compiler then."""
    if torch.get_deterministic_debug_mode() != mode:
        torch.use_deterministic_algorithms(mode > 0, warn_only=mode == 1)
