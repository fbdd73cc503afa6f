"""Copies ahead, by what the streams are asked: no GPU is needed to see the order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor

from cnntrain.data.copying import copied

CPU = torch.device("cpu")


class Streams:
    """In place of CUDA's: what is done on which of them, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log: list[str] = []
        self.current = "main"
        log, to = self.log, Tensor.to

        class Side:
            def __init__(self, device: torch.device) -> None:
                del device
                self.copies = 0

            def record_event(self) -> int:
                return self.copies

        @contextmanager
        def stream(side: Side) -> Iterator[None]:
            side.copies += 1
            self.current = f"copy {side.copies}"
            yield
            self.current = "main"

        class Main:
            def wait_event(self, event: int) -> None:
                log.append(f"wait for copy {event}")

        def noted(tensor: Tensor, *args: Any, **how: Any) -> Tensor:
            assert how == {"non_blocking": True}
            log.append(f"{self.current} of {int(tensor.flatten()[0])}")
            return to(tensor, *args, **how)

        monkeypatch.setattr(torch.cuda, "Stream", Side)
        monkeypatch.setattr(torch.cuda, "stream", stream)
        monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Main())
        monkeypatch.setattr(Tensor, "to", noted)
        monkeypatch.setattr(
            Tensor, "record_stream", lambda tensor, stream: log.append("kept"), raising=False
        )


def host(count: int) -> Iterator[tuple[Tensor, Tensor]]:
    for number in range(1, count + 1):
        yield torch.full((2, 3), float(number)), torch.full((2,), number)


def test_each_is_copied_while_the_one_before_it_is_worked_on(monkeypatch) -> None:
    streams = Streams(monkeypatch)
    given = []
    for images, targets in copied(host(3), CPU, ahead=True):
        streams.log.append(f"work on {int(targets[0])}")
        given.append((images, targets))
    assert [int(targets[0]) for _, targets in given] == [1, 2, 3]
    assert streams.log == [
        "copy 1 of 1", "copy 1 of 1",
        "copy 2 of 2", "copy 2 of 2",
        "wait for copy 1", "kept", "kept", "work on 1",
        "copy 3 of 3", "copy 3 of 3",
        "wait for copy 2", "kept", "kept", "work on 2",
        "wait for copy 3", "kept", "kept", "work on 3",
    ]  # fmt: skip


@pytest.mark.parametrize("count", [0, 1, 4])
def test_the_same_batches_either_way(monkeypatch, count) -> None:
    plain = list(copied(host(count), CPU))
    Streams(monkeypatch)
    ahead = list(copied(host(count), CPU, ahead=True))
    for one, other in zip(plain, ahead, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
