"""What a run file means on a GPU, asked without one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cnntrain.assemble.prepare import prepare
from cnntrain.assemble.translation import refuse_without_gpu, uses_channels_last
from cnntrain.config.load import load
from cnntrain.config.schema import ComputeSection
from cnntrain.core.errors import ConfigError

GPU = torch.device("cuda:0")


@pytest.mark.parametrize(
    ("precision", "has_bfloat16", "layout", "last"),
    [
        ("auto", True, "auto", True),
        ("auto", False, "auto", False),
        ("float32", True, "auto", False),
        ("float16", False, "auto", True),
        ("auto", True, False, False),
        ("float32", True, True, True),
    ],
)
def test_the_layout_follows_from_the_precision(
    monkeypatch: pytest.MonkeyPatch, precision: Any, has_bfloat16: bool, layout: Any, last: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **how: has_bfloat16)
    compute = ComputeSection(precision=precision, channels_last=layout)
    assert uses_channels_last(compute, GPU) is last
    assert uses_channels_last(ComputeSection(), torch.device("cpu"))


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("copy_ahead", "copied ahead to a CUDA GPU, and training is on cpu"),
        ("cuda_graphs", "CUDA graphs are of CUDA GPUs, and training is on cpu"),
    ],
)
def test_what_only_a_gpu_can_do_is_refused_on_a_cpu(
    run_file: Callable[..., Path], key: str, says: str
) -> None:
    file = run_file({f"compute.{key}": True, "compute.device": "cpu"})
    with pytest.raises(ConfigError, match=says) as e:
        prepare(load(file))
    assert e.value.problems[0].place is not None
    refuse_without_gpu(load(file), GPU)
