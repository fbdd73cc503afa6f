"""Many paths in little memory: what a tuple of them does, in less than half of its bytes."""

from __future__ import annotations

import pickle
import tracemalloc
from pathlib import Path

import pytest

from cnntrain.data.path_list import PathList

PATHS = tuple(Path("/images") / name for name in ("a.png", "b c.png", "d.png"))


def test_it_is_a_sequence_of_paths() -> None:
    made = PathList(PATHS)
    assert (len(made), made[1], made[-1], list(made)) == (3, PATHS[1], PATHS[2], list(PATHS))
    assert all(isinstance(path, Path) for path in (made[0], *made, *made[1:]))
    assert made[1:] == PATHS[1:]
    assert isinstance(made[1:], PathList)
    assert made.select([2, 0, 2]) == (PATHS[2], PATHS[0], PATHS[2])
    assert PATHS[1] in made
    assert not PathList()
    with pytest.raises(IndexError):
        made[3]


def test_it_equals_a_tuple_of_the_same_paths() -> None:
    made = PathList(PATHS)
    assert made == PATHS == PathList(made)
    assert made != PATHS[:2]
    assert made != PathList(reversed(PATHS))
    assert hash(made) == hash(PATHS)
    assert pickle.loads(pickle.dumps(made)) == made


def test_a_path_takes_less_than_half_of_the_memory() -> None:
    """As an image that a folder's listing found: its name is joined to that of the folder."""
    folder = Path("/data/imagenet/train/n01440764")
    taken = []
    for kind in (tuple, PathList):
        tracemalloc.start()
        made = kind(folder / f"n01440764_{number:05}.JPEG" for number in range(1000))
        sorted(made)  # a path keeps its text once it is asked for it
        taken.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        assert len(made) == 1000
    assert taken[1] < taken[0] / 2, taken
