"""The handwritten digits that come with scikit-learn."""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits

from cnntrain.data import dataset
from cnntrain.data.splits import Pixels, Splits


@dataset("digits", classes=10, channels=1, size=8, validation=False)
def digits() -> Splits:
    """1,797 handwritten digits of 8 x 8 pixels; part of scikit-learn, nothing is downloaded.

    The test part of the UCI set "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak
    1998). Pixels from 0 to 16 become 0 to 255. All images are for training: split a validation set
    off with `split: {validation: 0.2}`.
    """
    bunch = load_digits()
    pixels = torch.from_numpy(bunch.images).mul(255 / 16).round().to(torch.uint8)
    targets = torch.from_numpy(bunch.target).to(torch.int64)
    return Splits(tuple(str(name) for name in range(10)), Pixels(pixels[:, None], targets))
