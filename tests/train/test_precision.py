"""Which precision `auto` is; no GPU is needed to see what is chosen."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from cnntrain.train import choose_precision

CPU, GPU = torch.device("cpu"), torch.device("cuda:0")


@pytest.mark.parametrize("has_it", [True, False])
def test_auto(monkeypatch: pytest.MonkeyPatch, has_it: bool) -> None:
    asked: dict[str, Any] = {}

    def is_supported(**how: Any) -> bool:
        asked.update(how)
        return has_it

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_supported)
    assert choose_precision("auto", CPU) == "float32"
    assert choose_precision("auto", torch.device("mps")) == "float32"
    assert asked == {}
    assert choose_precision("auto", GPU) == ("bfloat16" if has_it else "float32")
    assert asked == {"including_emulation": False}


@pytest.mark.parametrize("device", [CPU, GPU], ids=str)
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_what_is_named_is_taken(precision: Any, device: torch.device) -> None:
    assert choose_precision(precision, device) == precision
