"""Preprocessing as ONNX operations: the pixels that Pillow gives, for images of any size."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image

from cnntrain.export.inside import with_preprocessing, with_probabilities
from cnntrain.show.whitening import Whitening

SIZES = [(500, 375), (333, 500), (64, 64), (31, 90), (97, 13), (7, 11), (320, 24)]


def identity(shape: str) -> Any:
    """An ONNX model that gives what it is given."""
    text = (
        f"net (float[{shape}] images) => (float[{shape}] logits) {{ logits = Identity (images) }}"
    )
    return onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : 20]> {text}')


def run(model: Any, **given: np.ndarray) -> np.ndarray:
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    [found] = session.run(None, given)
    return np.asarray(found)


@pytest.mark.parametrize("kind", ["bilinear", "bicubic"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "resize",
    [{"shortest_edge": 24}, {"height": 24, "width": 29}, {"height": 21, "width": 16}],
    ids=str,
)
def test_pixels_are_those_of_pillow(resize: dict[str, int], channels: int, kind: str) -> None:
    """To one level, borders included, and without bias; odd margins as Python rounds them.

    Pillow is asked for the rows first, and then for the columns.
    """
    height, width = 21, 16
    steps = [
        {"name": "resize", **resize, "interpolation": kind, "antialias": True},
        {"name": "center_crop", "height": height, "width": width},
        {"name": "rescale", "factor": 1.0},
    ]
    net = identity(f"N, {channels}, {height}, {width}")
    model = with_preprocessing(net, steps, in_shape=(channels, height, width), any_size=True)
    for size in SIZES:
        random = np.random.default_rng(size[0])
        pixels = random.integers(0, 256, (2, size[1], size[0], channels), dtype=np.uint8)
        found = run(model, pixels=pixels).transpose(0, 2, 3, 1)
        for image, ours in zip(pixels, found, strict=True):
            picture = Image.fromarray(image if channels == 3 else image[:, :, 0])
            edge = resize.get("shortest_edge")
            sides = (
                [side * edge // min(size) for side in size]
                if edge
                else [resize["width"], resize["height"]]
            )
            for part in ((sides[0], picture.height), sides):
                picture = picture.resize(part, Image.Resampling[kind.upper()])
            left, top = round((sides[0] - width) / 2), round((sides[1] - height) / 2)
            picture = picture.crop((left, top, left + width, top + height))
            different = ours - np.atleast_3d(np.asarray(picture, np.float32))
            assert abs(different).max() <= 1
            assert abs(different.mean()) < 0.1


@pytest.mark.parametrize("size", SIZES)
def test_cubic_pixels_in_the_order_that_pillow_takes(size: tuple[int, int]) -> None:
    """Smooth images, whose values are seldom clipped between the directions: to two levels."""
    steps = [
        {"name": "resize", "height": 21, "width": 16, "interpolation": "bicubic"},
        {"name": "rescale", "factor": 1.0},
    ]
    model = with_preprocessing(identity("N, 3, 21, 16"), steps, in_shape=(3, 21, 16), any_size=True)
    noise = np.random.default_rng(1).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    picture = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)
    found = run(model, pixels=np.asarray(picture)[None])[0].transpose(1, 2, 0)
    expected = np.asarray(picture.resize((16, 21), Image.Resampling.BICUBIC), np.float32)
    assert abs(found - expected).max() <= 2


def test_numbers_are_scaled_by_channel() -> None:
    mean, std = [0.1, 0.25, 0.5], [1e-3, 0.5, 2.0]
    steps = [
        {"name": "rescale", "factor": 1 / 255},
        {"name": "normalize", "mean": mean, "std": std},
    ]
    net = identity("N, 3, 4, 5")
    model = with_preprocessing(net, steps, in_shape=(3, 4, 5), any_size=False)
    pixels = np.random.default_rng(0).integers(0, 256, (6, 4, 5, 3), dtype=np.uint8)
    expected = (pixels / 255 - mean) / std
    found = run(model, pixels=pixels).transpose(0, 2, 3, 1)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-4)


def test_values_are_whitened_in_the_order_of_the_network() -> None:
    generator = torch.Generator().manual_seed(0)
    factor = torch.rand(24, 24, generator=generator, dtype=torch.float64)
    whitening = Whitening(torch.rand(24, generator=generator), factor + factor.T)
    steps = [
        {"name": "rescale", "factor": 1 / 255},
        {"name": "zca", "epsilon": 0.1, "learnt": whitening.as_text()},
    ]
    net = identity("N, 3, 2, 4")
    model = with_preprocessing(net, steps, in_shape=(3, 2, 4), any_size=False)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 2, 4, 3), dtype=np.uint8)
    rows = (pixels / 255).transpose(0, 3, 1, 2).reshape(5, 24) - whitening.mean.numpy()
    expected = (rows @ whitening.matrix.numpy()).reshape(5, 3, 2, 4)
    np.testing.assert_allclose(run(model, pixels=pixels), expected, rtol=1e-5, atol=1e-5)


def test_softmax_of_logits_by_temperature() -> None:
    logits = np.array([[1.0, 2.0, 4.0], [0.0, 0.0, -1.0]], np.float32)
    model = with_probabilities(identity("N, 3"), temperature=2.0, classes=3)
    powers = np.exp(logits / 2)
    expected = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(run(model, images=logits), expected, rtol=1e-6)
