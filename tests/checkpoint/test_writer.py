"""Saving while training continues: what is on disk, what was copied, whose errors are raised."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import torch

from cnntrain.checkpoint import LAST, PREVIOUS, load, load_newest, store
from cnntrain.checkpoint import writer as writer_module
from cnntrain.checkpoint.primitives import State, tensors_in
from cnntrain.checkpoint.store import save
from cnntrain.checkpoint.writer import Part, Writer
from cnntrain.core.errors import DiskError
from cnntrain.core.interrupts import Interrupted

BEST = "best.pt"


class Gate:
    """Holds writing back: it begins when `opened` is set; `reached` says that it waits."""

    def __init__(self) -> None:
        self.opened, self.reached = threading.Event(), threading.Event()

    def save(self, *args: object, **names: object) -> object:
        self.reached.set()
        assert self.opened.wait(60)
        return save(*args, **names)  # type: ignore[arg-type]


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate()
    monkeypatch.setattr(writer_module, "save", gate.save)
    yield gate
    gate.opened.set()


def state_of(value: float) -> dict[str, object]:
    return {"model": {"weight": torch.full((1000,), float(value))}, "train": {"epoch": int(value)}}


def weights_of(state: State) -> State:
    return {"model": state["model"]}


def value_in(path: Path) -> float:
    model = load(path)["model"]
    assert isinstance(model, dict)
    return float(model["weight"].mean())


def test_the_memory_of_a_copy_is_used_again(tmp_path: Path) -> None:
    """Two names of one tensor, one that changes its form, one that is new: none gets another's."""
    writer = Writer(large=0)
    shared, grown = torch.full((3, 4), 1.0), torch.full((2,), 2.0)
    writer.write(tmp_path / LAST, {"a": shared, "b": [shared, grown], "c": torch.full((3, 4), 3.0)})
    writer.wait()
    before = {each.data_ptr() for each in writer._copies}
    state = {
        "a": shared + 4,
        "b": [shared + 5, torch.full((5,), 6.0)],
        "c": torch.full((3, 4), 7.0),
    }
    writer.write(tmp_path / LAST, {**state, "d": torch.full((3, 4), 8.0)})
    writer.close()
    read = load(tmp_path / LAST)
    values = [float(each.mean()) for each in tensors_in(read)]
    assert values == [5.0, 6.0, 6.0, 7.0, 8.0]
    assert len(before) == 3
    assert len(before & {each.data_ptr() for each in writer._copies}) >= 1


def test_a_large_state_is_that_of_the_moment_it_was_saved(tmp_path: Path, gate: Gate) -> None:
    writer, state = Writer(large=0), state_of(1)
    writer.write(tmp_path / LAST, state)
    assert gate.reached.wait(60)
    state["model"]["weight"].fill_(2)  # type: ignore[index]
    assert not (tmp_path / LAST).exists()
    gate.opened.set()
    writer.wait()
    assert value_in(tmp_path / LAST) == 1
    assert writer.saves.files == 1
    writer.close()


def test_a_small_one_is_there_at_once(tmp_path: Path) -> None:
    writer = Writer()
    writer.write(tmp_path / LAST, state_of(1))
    assert value_in(tmp_path / LAST) == 1
    assert writer._thread is None


def test_never_two_behind_and_none_left_out(tmp_path: Path) -> None:
    writer = Writer(large=0)
    for number in range(1, 6):
        writer.write(tmp_path / LAST, state_of(number), previous=tmp_path / PREVIOUS)
        if number > 1:
            assert value_in(tmp_path / LAST) >= number - 1
    writer.close()
    assert (value_in(tmp_path / LAST), value_in(tmp_path / PREVIOUS)) == (5, 4)
    assert writer.saves.files == 5


def test_the_best_and_the_last_are_one_file_until_they_differ(tmp_path: Path) -> None:
    writer = Writer()
    last, best, previous = (tmp_path / name for name in (LAST, BEST, PREVIOUS))
    writer.write(last, state_of(1), also=best)
    assert last.samefile(best)
    assert writer.saves.bytes == last.stat().st_size
    writer.write(last, state_of(2), previous=previous)
    assert [value_in(each) for each in (last, best, previous)] == [2, 1, 1]
    writer.write(last, state_of(3), also=best, previous=previous)
    assert [value_in(each) for each in (last, best, previous)] == [3, 3, 2]
    assert sorted(each.name for each in tmp_path.iterdir()) == [BEST, LAST, PREVIOUS]


def test_the_best_is_a_copy_where_there_are_no_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    Writer().write(tmp_path / LAST, state_of(1), also=tmp_path / BEST)
    assert value_in(tmp_path / LAST) == value_in(tmp_path / BEST) == 1
    assert sorted(each.name for each in tmp_path.iterdir()) == [BEST, LAST]


def test_the_best_is_named_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that no last.pt speaks of a best that is not there."""
    there: list[bool] = []
    replace = Path.replace

    def noted(path: Path, target: Path) -> Path:
        if target.name == LAST:
            there.append((tmp_path / BEST).exists())
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", noted)
    Writer().write(tmp_path / LAST, state_of(1), also=tmp_path / BEST)
    assert there == [True]


@pytest.mark.parametrize("large", [0, None])
def test_a_part_is_a_file_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: int | None
) -> None:
    """There before the other, counted, and no reason to read last.pt again."""
    read: list[str] = []
    damage = store.damage
    monkeypatch.setattr(store, "damage", lambda path: read.append(path.name) or damage(path))
    writer = Writer(large=large)
    last, best, previous = (tmp_path / name for name in (LAST, BEST, PREVIOUS))
    for number in (1, 2):
        writer.write(last, state_of(number), also=best, previous=previous, part=weights_of)
        writer.wait()
    writer.close()
    assert read == [f"{BEST}.tmp", f"{LAST}.tmp"] * 2
    assert load(best).keys() == {"model"}
    assert load(last).keys() == load(previous).keys() == {"model", "train"}
    assert [value_in(each) for each in (last, best, previous)] == [2, 2, 1]
    sizes = best.stat().st_size + last.stat().st_size
    assert (writer.saves.files, writer.saves.bytes) == (4, 2 * sizes)


@pytest.mark.parametrize("meet", [Writer.look, Writer.wait, Writer.close])
def test_an_error_is_raised_where_training_meets_it_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, meet: Callable[[Writer], None]
) -> None:
    failed = threading.Event()

    def fail(*_: object, **__: object) -> None:
        failed.set()
        raise OSError(28, "No space left on device")

    writer = Writer(large=0)
    monkeypatch.setattr(writer_module, "save", fail)
    writer.write(tmp_path / LAST, state_of(1))
    assert failed.wait(60)
    if meet is Writer.look:
        while writer._begun is not None and not writer._begun.done():
            pass
    with pytest.raises(DiskError, match="No space left"):
        meet(writer)
    writer.wait()  # once is enough


def test_the_next_state_is_not_written_over_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = Writer(large=0)
    writer.write(tmp_path / LAST, state_of(1))
    writer.wait()
    with monkeypatch.context() as patch:
        patch.setattr(writer_module, "save", lambda *_, **__: (tmp_path / "no" / "no").touch())
        writer.write(tmp_path / LAST, state_of(2))
        with pytest.raises(DiskError):
            writer.write(tmp_path / LAST, state_of(3))
    assert value_in(tmp_path / LAST) == 1
    writer.close()


def test_a_file_that_this_process_wrote_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    damage = store.damage
    monkeypatch.setattr(store, "damage", lambda path: read.append(path.name) or damage(path))
    writer, last, previous = Writer(), tmp_path / LAST, tmp_path / PREVIOUS
    for number in (1, 2, 3):
        writer.write(last, state_of(number), previous=previous)
    assert read == [f"{LAST}.tmp"] * 3
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 1
    last.write_bytes(content)
    writer.write(last, state_of(4), previous=previous)
    assert read[3:] == [f"{LAST}.tmp", LAST]
    assert (value_in(last), value_in(previous)) == (4, 2)


def test_an_interruption_abandons_what_is_being_written(tmp_path: Path, gate: Gate) -> None:
    writer = Writer(large=0)
    writer.write(tmp_path / LAST, state_of(1))
    assert gate.reached.wait(60)
    threading.Timer(0.05, gate.opened.set).start()
    try:
        raise Interrupted(signal.SIGINT)
    except Interrupted:
        writer.close()
    assert list(tmp_path.iterdir()) == []


def test_another_error_waits_for_it(tmp_path: Path, gate: Gate) -> None:
    writer = Writer(large=0)
    writer.write(tmp_path / LAST, state_of(1))
    threading.Timer(0.05, gate.opened.set).start()
    try:
        raise ValueError
    except ValueError:
        writer.close()
    assert value_in(tmp_path / LAST) == 1


def write_and_die(last: Path, *, call: int, part: Part | None) -> int:
    """Save three times; in the last one SIGKILL before that call of an operation: how it ended."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    code = 1
    try:
        writer = Writer(large=0)
        write = partial(
            writer.write, also=last.with_name(BEST), previous=last.with_name(PREVIOUS), part=part
        )
        for number in (1, 2):
            write(last, state_of(number))
            writer.wait()
        calls = iter(range(1, 1000))

        def dying(real: Callable[..., object]) -> Callable[..., object]:
            def run(*args: object, **given: object) -> object:
                if next(calls) == call:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*args, **given)

            return run

        for owner, name in (
            *((os, name) for name in ("link", "fsync")),
            *((Path, name) for name in ("replace", "unlink")),
            *((store, name) for name in ("damage", "digest")),
        ):
            setattr(owner, name, dying(getattr(owner, name)))
        write(last, state_of(3))
        writer.wait()
        code = 0
    finally:
        os._exit(code)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("part", [None, weights_of])
def test_killed_anywhere_in_the_thread_a_sound_checkpoint_is_left(
    tmp_path: Path, part: Part | None
) -> None:
    """SIGKILL before each of the thread's operations in turn, until it gets through."""
    found, status = [], -1
    for call in range(1, 40):
        last = tmp_path / str(call) / LAST
        last.parent.mkdir()
        status = write_and_die(last, call=call, part=part)
        assert status in (0, signal.SIGKILL)
        best, newest = value_in(last.with_name(BEST)), value_in(load_newest(last.parent).path)
        assert best >= newest, "last.pt speaks of a best that is not there"
        found.append((best, newest))
        if status == 0:
            break
    assert status == 0
    assert len(found) > 8
    assert found == sorted(found)
    assert set(found) == {(2, 2), (3, 2), (3, 3)}
