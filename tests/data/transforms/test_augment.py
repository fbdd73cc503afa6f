"""RandAugment and TrivialAugment: torchvision's own, image by image, from a generator of ours."""

import pytest
import torch
from torchvision.transforms import v2

from cnntrain.data.pipeline import build_pipeline
from cnntrain.data.transform_errors import TransformError
from cnntrain.data.transforms.rand_augment import RandAugment
from cnntrain.data.transforms.trivial_augment import TrivialAugment

Augment = RandAugment | TrivialAugment

CASES = [
    (RandAugment(num_ops=3, magnitude=20), v2.RandAugment(3, 20)),
    (TrivialAugment(), v2.TrivialAugmentWide()),
    (
        TrivialAugment(interpolation="bilinear"),
        v2.TrivialAugmentWide(interpolation=v2.InterpolationMode.BILINEAR),
    ),
]


@pytest.fixture
def images() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (16, 3, 12, 14), dtype=torch.uint8, generator=generator)


def generator(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("ours", "theirs"), CASES)
def test_it_is_torchvisions(ours: Augment, theirs: v2.Transform, images) -> None:
    """The same numbers as torchvision draws from its global generator, seeded likewise."""
    result = ours(images, generator())
    seed = int(torch.randint(2**62, (), generator=generator()))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        expected = torch.stack([theirs(image) for image in images])
    assert torch.equal(result, expected)
    assert not torch.equal(result, images)


@pytest.mark.parametrize("augment", [RandAugment(), TrivialAugment()])
def test_pixels_from_0_to_1_are_rounded_to_8_bits(augment: Augment, images) -> None:
    result = augment(images / 255, generator())
    assert result.dtype == torch.float32
    assert torch.equal((result * 255).round().to(torch.uint8), augment(images, generator()))


@pytest.mark.parametrize("augment", [RandAugment(), TrivialAugment()])
def test_grey_images_and_no_others(augment: Augment, images) -> None:
    assert augment(images[:, :1], generator()).shape == (16, 1, 12, 14)
    with pytest.raises(ValueError, match="not on 2 channels"):
        augment(images[:, :2], generator())


def test_two_in_a_list_draw_differently(images) -> None:
    both = build_pipeline([{"name": "trivial_augment"}, {"name": "trivial_augment"}])
    seeds = []
    for step in both.steps:
        step.transform._augment = lambda image: seeds.append(torch.initial_seed()) or image
    both(images[:1], generator())
    assert len(set(seeds)) == 2


def test_wrong_parameters_and_places() -> None:
    with pytest.raises(TransformError, match="magnitude must be at most 30, not 31"):
        build_pipeline([{"name": "rand_augment", "magnitude": 31}])
    given = {"name": "normalize", "mean": [0.5], "std": [0.5]}
    with pytest.raises(TransformError, match="must stand before normalize"):
        build_pipeline([given, {"name": "rand_augment"}])
