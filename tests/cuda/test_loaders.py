"""What the loaders give a pretended GPU to do, and that they never wait for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from cnntrain.data import TRANSFORMS
from cnntrain.data.batch import Batching
from cnntrain.data.loaders import make_loader
from cnntrain.data.mixing import MixedLoader
from cnntrain.data.pipeline import build_pipeline
from cnntrain.data.splits import Pixels
from cnntrain.show.whitening import Whitening

NORMALIZE = {"name": "normalize", "mean": [0.5] * 3, "std": [0.2] * 3}
CIFAR = [{"name": "random_crop", "size": 32, "padding": 4}, {"name": "horizontal_flip"}, NORMALIZE]
PHOTOGRAPHS = [
    {"name": "random_resized_crop", "size": 24},
    {"name": "horizontal_flip"},
    NORMALIZE,
]
ALEXNET = [
    {"name": "random_crop", "size": 28},
    {"name": "horizontal_flip"},
    {"name": "pca_lighting"},
    NORMALIZE,
]
TRIED: dict[str, dict[str, Any]] = {
    "affine": {"rotate": 20.0, "translate": 0.2, "scale": [0.8, 1.2], "shear": 10.0},
    "center_crop": {"size": [10, 12]},
    "color_jitter": {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.2},
    "cutmix": {},
    "horizontal_flip": {},
    "mixup": {},
    "noise": {},
    "normalize": {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]},
    "pca_lighting": {},
    "rand_augment": {"num_ops": 24},  # for each of four images: every operation is met
    "random_crop": {"size": 16, "padding": 4, "border": "reflect"},
    "random_erasing": {},
    "random_resized_crop": {"size": [9, 11], "interpolation": "bicubic"},
    "resize": {"size": [20, 11]},
    "trivial_augment": {},
    "zca": {"learnt": Whitening(torch.zeros(192), torch.eye(192)).as_text()},
}


@pytest.fixture
def pixels() -> Pixels:
    images = torch.randint(0, 256, (12, 3, 32, 32), dtype=torch.uint8)
    return Pixels(images, torch.arange(12) % 3)


def kernels(gpu: Any, pixels: Pixels, items: Sequence[Any], **how: Any) -> list[str]:
    """What the second batch of an epoch takes, of images in memory."""
    batching = Batching(4, shuffle=True, device=gpu.device, **how)
    pipeline = build_pipeline(items)
    made = make_loader(pixels, pipeline, name="train", memory="resident", workers=0,
                       batching=batching)  # fmt: skip
    if pipeline.mixings:
        made = MixedLoader(made, mixings=pipeline.mixings, num_classes=3, seed=0)
    batches = made.batches(1)
    next(batches)
    with gpu.watching():
        images, targets = next(batches)
    assert images.device == targets.device == gpu.device
    assert images.is_contiguous(memory_format=batching.memory_format)
    return list(gpu.kernels)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize(
    ("items", "most"),
    [([NORMALIZE], 1), (CIFAR, 12), (PHOTOGRAPHS, 30), (ALEXNET, 18)],
    ids=["ready", "cifar", "photographs", "alexnet"],
)
def test_kernels_per_batch(
    gpu: Any, pixels: Pixels, items: Sequence[Any], most: int, channels_last: bool
) -> None:
    found = kernels(gpu, pixels, items, channels_last=channels_last)
    assert len(found) <= most, found


def test_every_transform_is_tried() -> None:
    assert {*TRIED} == {*TRANSFORMS.names()}


@pytest.mark.parametrize("is_ready", [False, True], ids=["8-bit", "float"])
@pytest.mark.parametrize("name", TRIED)
def test_no_transform_waits(gpu: Any, pixels: Pixels, name: str, is_ready: bool) -> None:
    before = [{"name": "noise"}] if is_ready else []
    if name == "zca":  # for small images
        pixels = Pixels(pixels.images[:, :, :8, :8].contiguous(), pixels.targets)
    found = kernels(gpu, pixels, [*before, {"name": name, **TRIED[name]}], channels_last=True)
    assert found or not is_ready  # what is not random is done once for all


def test_what_waits_is_found(gpu: Any) -> None:
    """The pretended GPU itself: each kind of fault that these tests look for."""
    there = torch.zeros(3, device=gpu.device)
    with gpu.watching():
        with pytest.raises(gpu.WaitError, match="reads"):
            float(there[0])
        with pytest.raises(gpu.WaitError, match="to the host"):
            there.cpu()
        with pytest.raises(gpu.WaitError, match="pinned"):
            torch.tensor([1.0], device=gpu.device)
        with pytest.raises(RuntimeError, match="device"):
            there + torch.zeros(3)
        with pytest.raises(RuntimeError, match="generator"):
            torch.rand(3, generator=torch.Generator(), device=gpu.device)
        gpu.kernels.clear()
        there.view(3, 1).mul(2)
        assert gpu.kernels == ["mul"]
