"""Whitening against its definition, written again with numpy; its text; what undoes it."""

import base64

import numpy as np
import pytest
import torch

from cnntrain.show.pixels import Scaling
from cnntrain.show.whitening import Whitening, alike, from_text, restored, whitened


@pytest.fixture
def text() -> str:
    factor = np.random.default_rng(0).normal(size=(6, 6))
    return Whitening(torch.arange(6.0) / 10, torch.from_numpy(factor @ factor.T)).as_text()


def test_an_image_is_multiplied_by_the_matrix(text: str) -> None:
    numbers = np.frombuffer(base64.b64decode(text), "<f4")
    matrix = np.zeros((6, 6))
    matrix[np.triu_indices(6)] = numbers[6:]
    matrix += np.triu(matrix, 1).T
    images = np.random.default_rng(1).random((4, 1, 2, 3)).astype(np.float32)
    expected = [(matrix @ (image.reshape(6) - numbers[:6])).reshape(1, 2, 3) for image in images]
    found = whitened(torch.from_numpy(images), text)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), np.stack(expected), rtol=1e-6)


def test_pixels_come_back(text: str) -> None:
    pixels = torch.rand(3, 1, 2, 3, generator=torch.Generator().manual_seed(0))
    scaling = Scaling((0.0,), (1.0,), text)
    seen = scaling.redo(pixels.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(seen, whitened(pixels, text), rtol=0, atol=0)
    torch.testing.assert_close(scaling.undo(seen), pixels, rtol=0, atol=1e-5)
    assert restored(pixels[:0], text).shape == (0, 1, 2, 3)


def test_images_of_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="of 6 values, and here are 1 x 3 x 3"):
        whitened(torch.zeros(2, 1, 3, 3), text)


@pytest.mark.parametrize("wrong", ["", "no base64!", "AAAA", "AACAfwAAgD8="])
def test_what_is_no_whitening_is_refused(wrong: str) -> None:
    """The last one is of the right length, infinity and 1."""
    with pytest.raises(ValueError, match="leave `learnt` out"):
        from_text(wrong)


def test_alike_is_the_rounding_of_another_machine_and_no_more(text: str) -> None:
    whitening = from_text(text)
    for factor, expected in ((1 + 1e-6, True), (1.01, False)):
        other = Whitening(whitening.mean, whitening.matrix * factor).as_text()
        assert other != text
        assert alike(text, other) == expected
    assert not alike(text, Whitening(torch.zeros(1), torch.ones(1, 1)).as_text())
