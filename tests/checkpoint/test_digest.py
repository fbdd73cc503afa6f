"""The digest of a checkpoint: the same for what is the same, another for everything else."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch

from cnntrain.checkpoint import LAST, PREVIOUS, load, load_newest, save
from cnntrain.checkpoint.digest import digest
from cnntrain.core.errors import CheckpointError

NAN = float("nan")
DIFFERENT: list[object] = [
    None, True, False, 1, 1.0, "1", b"1", "", b"", 0, 0.0, -0.0, NAN, -1, 10**40, "None", "\ud800",
    [], (), {}, [[]], [[], []], [[[]]], [1, 2], [2, 1], (1, 2), [12], ["12"], ["1", "2"], "12",
    {1: 2}, {"1": 2}, {1: 2, 3: 4}, {3: 4, 1: 2}, {1: [2, 3]}, [1, [2]], [[1], 2], ["a", "b"],
    ["ab", ""], ["", "ab"],
    torch.zeros(2), torch.zeros(2, dtype=torch.float64), torch.zeros(2, 1), torch.zeros(1, 2),
    torch.zeros(0), torch.zeros(()), torch.tensor([0.0, -0.0]), torch.zeros(2, dtype=torch.int32),
    torch.zeros(2, dtype=torch.bfloat16), torch.zeros(2, dtype=torch.bool), [torch.zeros(2)],
    [torch.zeros(2), torch.zeros(2)], torch.tensor([[1, 2], [3, 4]]),
    torch.tensor([[1, 3], [2, 4]]),
]  # fmt: skip


def test_other_values_have_other_digests() -> None:
    found = [digest(value) for value in DIFFERENT]
    assert len(found[0]) == 64
    for (a, one), (b, two) in itertools.combinations(zip(DIFFERENT, found, strict=True), 2):
        assert one != two, f"{a!r} and {b!r}"


def test_the_same_values_have_the_same_digest() -> None:
    grid = torch.arange(24.0).reshape(1, 2, 3, 4)
    striding = grid.to(memory_format=torch.channels_last)
    assert striding.stride() != grid.stride()
    assert digest([grid, grid]) == digest([striding, grid.clone()])
    assert digest({"a": torch.arange(9)[3:6]}) == digest({"a": torch.tensor([3, 4, 5])})


def test_what_has_no_digest() -> None:
    ring: list[Any] = []
    ring.append(ring)
    for value in (ring, {"a": {1, 2}}, [torch.zeros(1, device="meta")], [torch.Size([1])]):
        with pytest.raises(ValueError, match=r"nested too deeply|plain"):
            digest(value)


def test_branches_that_meet_again_and_again_end() -> None:
    tree: list[Any] = [torch.ones(1000)]
    for _ in range(100):
        tree = [tree, tree]
    assert len(digest(tree)) == 64


@pytest.mark.parametrize("change", ["value", "key", "tensor", "lost"])
def test_contents_that_are_not_those_that_were_saved(tmp_path: Path, change: str) -> None:
    """A file that is whole by all its checksums, with other contents than `save` was given."""
    path, previous = tmp_path / LAST, tmp_path / PREVIOUS
    for epoch in (1, 2):
        state = {"train": {"epoch": epoch}, "model": {"w": torch.ones(9) * epoch}}
        save(path, state, previous=previous)
    content = torch.load(path, weights_only=True)
    if change == "value":
        content["train"]["epoch"] = 3
    elif change == "key":
        content["optimizer"] = {}
    elif change == "tensor":
        content["model"]["w"][8] = 2.0001
    else:
        del content["train"]
    torch.save(content, path)
    words = "is damaged: its contents are not those that were saved"
    with pytest.raises(CheckpointError, match=words):
        load(path)
    newest = load_newest(tmp_path)
    assert newest.path == previous
    assert newest.skipped == (f"{path} {words}",)


def test_a_checkpoint_of_before_the_digest(tmp_path: Path) -> None:
    torch.save({"cnntrain_checkpoint": 1, "train": {"epoch": 3}}, tmp_path / LAST)
    assert load(tmp_path / LAST) == {"train": {"epoch": 3}}


def test_a_folder_in_the_place_of_a_checkpoint(tmp_path: Path) -> None:
    path, previous = tmp_path / LAST, tmp_path / PREVIOUS
    save(previous, {"train": {"epoch": 1}})
    path.mkdir()
    newest = load_newest(tmp_path)
    assert (newest.path, newest.skipped) == (previous, (f"{path} is a folder, not a file",))
    save(path, {"train": {"epoch": 2}}, previous=previous)
    assert load(path)["train"] == {"epoch": 2}
    (tmp_path / "kept").mkdir()
    previous.unlink()
    (tmp_path / "kept").rename(previous)
    save(path, {"train": {"epoch": 3}}, previous=previous)
    assert load(previous)["train"] == {"epoch": 2}
    names = {file.name for file in tmp_path.iterdir()}
    assert names == {LAST, PREVIOUS, f"{LAST}.folder", f"{PREVIOUS}.folder"}


def test_a_save_that_was_killed_before_its_last_rename_leaves_nothing_behind(
    tmp_path: Path,
) -> None:
    """By then last.pt and previous.pt are two names of one file."""
    path, previous = tmp_path / LAST, tmp_path / PREVIOUS
    save(path, {"train": {"epoch": 1}})
    previous.hardlink_to(path)
    save(path, {"train": {"epoch": 2}}, previous=previous)
    assert {file.name for file in tmp_path.iterdir()} == {LAST, PREVIOUS}
    assert load(previous) == {"train": {"epoch": 1}}
