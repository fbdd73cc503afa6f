"""Workers that are spawned import a user's transform, or say why they cannot."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from cnntrain.core.errors import DataError
from cnntrain.core.plugins import _SOURCES, module_name
from cnntrain.core.trust import name_plugin
from cnntrain.data import TRANSFORMS
from cnntrain.data.batch import Batching
from cnntrain.data.pipeline import build_pipeline
from cnntrain.data.splits import Pixels
from cnntrain.data.stream import StreamLoader
from cnntrain.data.worker import ImageReader

PLUGIN = '''
"""Augmentation of a user's own."""

import random as python_random

import torch

from cnntrain.data import transform


@transform("my_brighter", random=True, before_normalize=True, by_image=True)
class Brighter:
    """Adds a number that is drawn for each image.

    Args:
        most: the largest.
    """

    def __init__(self, *, most: int = 50) -> None:
        self.most = most

    def output_size(self, size):
        return size

    def __call__(self, images, generator):
        return images + torch.randint(1, self.most, (1,), generator=generator).to(torch.uint8)
'''


@pytest.fixture
def spawned() -> Iterator[None]:
    """Worker processes begin with nothing of this one, as on macOS and Windows."""
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method("spawn", force=True)
    yield
    multiprocessing.set_start_method(before, force=True)


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    file = tmp_path / "my augment-ation.v2.py"
    file.write_text(PLUGIN, encoding="utf-8")
    TRANSFORMS.add_plugin(name_plugin(file))
    return file


def loader(workers: int) -> StreamLoader:
    images = torch.arange(4, dtype=torch.uint8)[:, None, None, None].expand(4, 3, 5, 5)
    return StreamLoader(
        Pixels(images.contiguous(), torch.arange(4)),
        name="train",
        pipeline=build_pipeline([{"name": "my_brighter", "most": 60}]),
        batching=Batching(batch_size=2),
        workers=workers,
    )


@pytest.mark.usefixtures("spawned", "plugin")
def test_a_plugin_works_in_a_spawned_worker() -> None:
    """The same numbers as in this process; they differ from image to image."""
    expected = torch.cat([batch.images for batch in loader(0).batches(1)])
    made = loader(1)
    found = torch.cat([batch.images for batch in made.batches(1)])
    made.close()
    assert torch.equal(found, expected)
    drawn = (found[:, 0, 0, 0] * 255).round().int() - torch.arange(4)
    assert len(set(drawn.tolist())) > 1


@pytest.mark.usefixtures("spawned")
def test_a_worker_that_cannot_import_a_plugin_says_so(plugin: Path) -> None:
    """The file was changed since this process read it."""
    made = loader(1)
    plugin.write_text(PLUGIN.replace("import torch\n", "import no_such_library\n", 1))
    with pytest.raises(DataError) as caught:
        list(made.batches(1))
    made.close()
    assert str(caught.value) == (
        f"a worker process cannot import the transforms: ImportError: {plugin} has changed since "
        "it was read; make the plugin's file importable in a process of its own, or set "
        "`data.workers: 0`"
    )


@pytest.mark.usefixtures("spawned")
def test_a_transform_that_cannot_be_pickled_is_refused_at_the_start(plugin: Path) -> None:
    plugin.write_text(PLUGIN.replace("self.most = most", "self.most, self.f = most, lambda x: x"))
    TRANSFORMS.add_plugin(name_plugin(plugin))
    made = loader(1)
    with pytest.raises(DataError, match=r"cannot be sent to the worker .*lambda") as caught:
        list(made.batches(1))
    assert str(caught.value).endswith("or set `data.workers: 0`")


@dataclass(frozen=True)
class Leaving(Pixels):
    """Its images end the process that reads them, as an error during the start of one does."""

    def open(self, index: int, reduction: object = None) -> None:
        os._exit(1)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # Python 3.12 and later
def test_a_worker_that_ends_with_an_error_is_not_told_to_need_memory() -> None:
    part = Leaving(torch.zeros(2, 1, 2, 2, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64))
    made = StreamLoader(
        part,
        name="train",
        pipeline=build_pipeline([]),
        batching=Batching(batch_size=2),
        workers=1,
    )
    with pytest.raises(DataError, match=r"ended with an error of its own: .* exit code 1; see its"):
        list(made.batches(1))


def test_the_name_of_a_plugin_is_the_same_in_every_process(plugin: Path) -> None:
    """Python's hash of a text is another one in each process; the module's name is not made of it.

    The expected name by hand: bytes that are no letters or digits as two hexadecimal digits.
    """
    name = module_name(name_plugin(plugin))
    assert name.endswith("_2fmy_20augment_2dation_2ev2_2epy")
    code = f"import importlib; print(importlib.import_module({name!r}).Brighter().most)"
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        run = subprocess.run(
            [sys.executable, "-c", f"import cnntrain.core.plugins; {code}"],
            capture_output=True, text=True, check=True, env=environment,
        )  # fmt: skip
        assert run.stdout == "50\n"


@pytest.fixture
def one_image(plugin: Path) -> ImageReader:
    part = Pixels(torch.full((1, 3, 4, 4), 100, dtype=torch.uint8), torch.tensor([0]))
    head, single = build_pipeline([{"name": "my_brighter"}]).divide(random_in_worker=True)
    return ImageReader(part, head, single, seed=3, draft=False)


def test_an_image_that_comes_twice_in_an_epoch_is_augmented_twice(one_image: ImageReader) -> None:
    """As one of a rare class does where all classes are drawn equally often."""
    values = [
        [int(one_image[(epoch, place, 0)][0].max()) for place in range(9)] for epoch in (1, 2)
    ]
    assert len(set(values[0])) > 3
    assert values[0] != values[1]


def test_what_workers_get_is_the_same_after_it_was_sent(
    plugin: Path, one_image: ImageReader
) -> None:
    made, sent = one_image, pickle.dumps(one_image)
    name = module_name(name_plugin(plugin))
    del sys.modules[name], _SOURCES[name]  # as in another process
    assert torch.equal(pickle.loads(sent)[(1, 0, 0)][0], made[(1, 0, 0)][0])
