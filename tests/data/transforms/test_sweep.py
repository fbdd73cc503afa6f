"""What every registered transform promises."""

from typing import Any

import pytest
import torch

from cnntrain.data import TRANSFORMS
from cnntrain.data.pipeline import Pipeline, build_pipeline
from cnntrain.data.transform_errors import TransformError
from cnntrain.data.windows import Sizing
from cnntrain.show.whitening import Whitening

EXAMPLES: dict[str, dict[str, Any]] = {
    "affine": {"rotate": 20.0, "translate": 0.2, "scale": [0.8, 1.2], "shear": 10.0},
    "center_crop": {"size": [10, 12]},
    "color_jitter": {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.2},
    "horizontal_flip": {},
    "noise": {},
    "normalize": {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.4]},
    "pca_lighting": {},
    "rand_augment": {},
    "random_crop": {"size": 16, "padding": 4},
    "random_erasing": {},
    "random_resized_crop": {"size": [9, 11]},
    "resize": {"size": [20, 11]},
    "trivial_augment": {},
    "zca": {"learnt": Whitening(torch.zeros(864), torch.eye(864)).as_text()},
}
MIXINGS = ["cutmix", "mixup"]
"""Of whole batches: see tests/data/test_mixing.py."""


def pipeline(name: str) -> Pipeline:
    return build_pipeline([{"name": name, **EXAMPLES[name]}])


def images(dtype: torch.dtype = torch.uint8) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    made = torch.randint(0, 256, (12, 3, 16, 18), dtype=torch.uint8, generator=generator)
    return made if dtype == torch.uint8 else made.float() / 255


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_every_transform_has_an_example() -> None:
    assert sorted([*EXAMPLES, *MIXINGS]) == TRANSFORMS.names()


@pytest.mark.parametrize("name", TRANSFORMS.names())
def test_every_parameter_is_described(name: str) -> None:
    entry = TRANSFORMS.entry(name)
    assert entry.summary
    assert [p.name for p in entry.parameters if not p.description] == []


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("name", EXAMPLES)
def test_size_type_and_input_left_alone(name: str, dtype: torch.dtype) -> None:
    made, given = pipeline(name), images(dtype)
    before = given.clone()
    step = made.steps[0].transform(given, generator(0))
    assert step.dtype in (given.dtype, torch.float32)
    result = made(given, generator(0))
    assert result.dtype == torch.float32
    assert result.shape == (12, 3, *made.output_size((16, 18)))
    assert result.isfinite().all()
    assert torch.equal(given, before)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_seed_decides(name: str) -> None:
    made = pipeline(name)
    first = made(images(), generator(1))
    assert torch.equal(first, made(images(), generator(1)))
    same = torch.equal(first, made(images(), generator(2)))
    assert same != made.is_random
    assert made.is_random == bool(TRANSFORMS.entry(name).options.get("random"))


@pytest.mark.parametrize("name", EXAMPLES)
def test_global_random_numbers_are_not_touched(name: str) -> None:
    before = torch.random.get_rng_state()
    pipeline(name)(images(), generator(0))
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("name", EXAMPLES)
def test_images_are_treated_each_on_its_own(name: str) -> None:
    """With random ones, two equal images come out different; with others, equal."""
    given = images()[:1].expand(12, -1, -1, -1).contiguous()
    result = pipeline(name)(given, generator(0))
    differ = any(not torch.equal(result[0], other) for other in result[1:])
    assert differ == pipeline(name).is_random


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_memory_format_makes_no_difference(name: str) -> None:
    plain = pipeline(name)(images(), generator(3))
    last = pipeline(name)(images().contiguous(memory_format=torch.channels_last), generator(3))
    torch.testing.assert_close(plain, last, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "name", [n for n in EXAMPLES if "before" in str(TRANSFORMS.entry(n).options)]
)
def test_what_needs_pixels_is_refused_after_normalize(name: str) -> None:
    with pytest.raises(TransformError, match="before normalize") as caught:
        build_pipeline(
            [{"name": "normalize", **EXAMPLES["normalize"]}, {"name": name, **EXAMPLES[name]}]
        )
    assert caught.value.position == 1


@pytest.mark.parametrize("name", ["center_crop", "random_crop", "random_resized_crop", "resize"])
def test_sizing_transforms_choose_windows(name: str) -> None:
    transform = pipeline(name).steps[0].transform
    assert isinstance(transform, Sizing)
    windows = transform.windows((16, 18), count=5, generator=generator(0))
    assert len(windows.boxes) in (1, 5)
    assert windows.size == transform.output_size((16, 18))
