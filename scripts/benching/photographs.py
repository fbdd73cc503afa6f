"""Photographs, read and augmented: nothing but batches of random windows of 224 x 224."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torchvision import datasets, transforms

from benching import peers
from benching.loaders import rate, turn
from benching.row import Row, row, skipped
from benching.setting import Setting, missing
from benching.turns import in_turns, times_as_fast
from cnntrain.data.image_cache import ImageCache
from cnntrain.data.loaders import open_data

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIZE, SHORT = 224, 256
BATCH, BATCHES = 32, 3
"""Images in a batch, batches in a turn."""
PIL = "torchvision, PIL image by image, DataLoader"
TIMM = "timm's loader"
TARGETS = {"Pillow": 1.15, "simplejpeg": 1.5, "cache": 5.0}
LIBJPEG = "reading the Huffman codes, 0.9 of 1.5 ms, is the same work in each library"
SCALING = ("normalize", {"mean": MEAN, "std": STD})
EVAL = (("resize", {"size": SHORT}), ("center_crop", {"size": SIZE}), SCALING)


def photographs(setting: Setting) -> Iterator[Row]:
    """B5: training's windows by Pillow, by simplejpeg and from the cache; evaluation's crops."""
    folder = setting.folder("hymenoptera")
    began = time.process_time()
    cached = opened(folder, cache=ImageCache(SHORT, setting.scratch / "cache"))
    making = time.process_time() - began
    data = {"Pillow": opened(folder), "cache": cached}
    if not missing("simplejpeg"):
        data["simplejpeg"] = opened(folder, decoder="simplejpeg")
    steps = [transforms.RandomResizedCrop(SIZE), transforms.RandomHorizontalFlip()]
    ways = {name: turn(epochs(each.train), BATCHES) for name, each in data.items()}
    ways |= rivals(folder, steps)
    each = measured(ways, setting)
    for name in TARGETS:
        job = f"photographs, random windows of {SIZE}, flips, batches of {BATCH}: {name}"
        if name not in each:
            yield skipped("B5", job, PIL, because=missing("simplejpeg"))
            continue
        yield row("B5", job, PIL, times_as_fast(each[name], each[PIL]), target=TARGETS[name],
                  ours=rate(each[name]), theirs=rate(each[PIL]),
                  note=f"short side {SHORT}; made once, {making:.1f} CPU s" * (name == "cache"),
                  reason=LIBJPEG if name == "simplejpeg" else "")  # fmt: skip
        if TIMM in each:
            yield row("", job, TIMM, times_as_fast(each[name], each[TIMM]), theirs=rate(each[TIMM]),
                      ours=rate(each[name]))  # fmt: skip
        else:
            yield skipped("", job, TIMM, because=missing("timm"))
    yield from crops(folder, data["Pillow"].validation, setting)


def crops(folder: Path, ours: Any, setting: Setting) -> Iterator[Row]:
    """Evaluation's batches."""
    steps = [transforms.Resize(SHORT), transforms.CenterCrop(SIZE)]
    ways = {"ours": turn(epochs(ours), BATCHES)}
    ways |= rivals(folder, steps, split="val", only=(PIL,))
    each = measured(ways, setting)
    yield row("", f"photographs, evaluation's crops of {SIZE}, batches of {BATCH}: Pillow", PIL,
              times_as_fast(each["ours"], each[PIL]), ours=rate(each["ours"]),
              theirs=rate(each[PIL]))  # fmt: skip


def measured(ways: dict[str, Callable[[], None]], setting: Setting) -> dict[str, Any]:
    """Seconds per image of each turn."""
    taken = in_turns(ways, rounds=2 * setting.rounds)
    return {name: [seconds.over(BATCH * BATCHES) for seconds in found]
            for name, found in taken.items()}  # fmt: skip


def opened(folder: Path, **how: Any) -> Any:
    """cnntrain's images, in the layout that they have on a CPU."""
    return open_data(
        "image_folder",
        parameters={"root": str(folder)},
        train_transforms=(
            ("random_resized_crop", {"size": SIZE}),
            ("horizontal_flip", {}),
            SCALING,
        ),
        eval_transforms=EVAL,
        batch_size=BATCH,
        drop_last=True,
        channels_last=True,
        workers=0,
        memory="stream",
        **how,
    )


def epochs(loader: Any) -> Iterator[Any]:
    """One epoch after the other."""
    for epoch in itertools.count(1):
        yield from loader.batches(epoch)


def rivals(
    folder: Path, steps: list[Any], *, split: str = "train", only: tuple[str, ...] = (PIL, TIMM)
) -> dict[str, Callable[[], None]]:
    """What others take so many batches with."""
    steps = [*steps, transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    images = datasets.ImageFolder(str(folder / split), transforms.Compose(steps))
    is_train = split == "train"
    loader = torch.utils.data.DataLoader(images, BATCH, shuffle=is_train, drop_last=is_train)
    found = {PIL: turn(peers.for_ever(loader), BATCHES)}
    if TIMM in only and not missing("timm"):
        theirs = peers.timm_loader(
            datasets.ImageFolder(str(folder / "train")), shape=(3, SIZE, SIZE), batch=BATCH,
            mean=MEAN, std=STD, color_jitter=0.0,
        )  # fmt: skip
        found[TIMM] = turn(peers.for_ever(theirs), BATCHES)
    return found
