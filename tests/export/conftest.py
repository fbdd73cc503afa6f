"""Networks written in the tests, in evaluation mode."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

from cnntrain.arch.build import build
from cnntrain.arch.description import Facts, describe
from cnntrain.arch.network import Network
from cnntrain.arch.planner import make_plan
from cnntrain.core.document import parse_document


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def network() -> Callable[..., Network]:
    """`network("layers: [...]", classes=3, shape=(3, 8, 8))`, with seeded weights."""

    def make(
        text: str, *, classes: int = 3, shape: tuple[int, int, int] = (3, 8, 8), device: str = "cpu"
    ) -> Network:
        description = describe(parse_document(text, name="arch.yaml"), facts=Facts(classes, *shape))
        torch.manual_seed(0)
        return build(make_plan(description), device=device).eval().requires_grad_(False)

    return make
