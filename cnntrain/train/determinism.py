"""Bit-for-bit repeatable training, at a price in speed on CUDA."""

from __future__ import annotations

import os

import torch

from cnntrain.core.errors import ConfigError

_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"


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
    torch.use_deterministic_algorithms(deterministic)
    torch.backends.cudnn.deterministic = deterministic
    torch.backends.cudnn.benchmark = not deterministic
