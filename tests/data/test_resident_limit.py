"""How many images stay decoded: on the host 2 GiB, on a GPU a share of what there is."""

from __future__ import annotations

import pytest
import torch

from cnntrain.data import resident_limit
from cnntrain.data.resident_limit import resident_bytes

GIB = 1024**3


def test_on_the_host() -> None:
    assert resident_bytes(torch.device("cpu")) == 2 * GIB


@pytest.mark.parametrize(
    ("free", "host", "most"), [(80, 512, 20), (80, 40, 10), (4, 512, 1), (80, None, 20)]
)
def test_on_a_gpu_a_quarter(monkeypatch, free, host, most) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free * GIB, 141 * GIB))
    monkeypatch.setattr(resident_limit, "host_memory", lambda: None if host is None else host * GIB)
    assert resident_bytes(torch.device("cuda")) == most * GIB
