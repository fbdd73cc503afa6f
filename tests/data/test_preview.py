"""The contact sheet."""

import numpy as np
import torch

from cnntrain.data.loaders import open_data
from cnntrain.data.preview import contact_sheet
from cnntrain.data.statistics import denormalize
from cnntrain.show.pixels import Scaling
from cnntrain.tasks.targets import Targets


def test_normalised_images_become_pixels_again() -> None:
    pixels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    found = Scaling((0.3,), (0.17,))
    assert torch.equal(denormalize((pixels / 255 - 0.3) / 0.17, found), pixels)
    assert torch.equal(denormalize(pixels / 255, None), pixels)


def test_the_sheet_shows_the_images_in_order() -> None:
    data = open_data("digits")
    sheet = contact_sheet(data.train, targets=data.targets, statistics=data.statistics,
                          columns=5, rows=3)  # fmt: skip
    factor = 9  # 8 pixels are enlarged to 72
    assert sheet.size == (5 * (8 * factor + 4), 3 * (8 * factor + 4 + 14))
    first = next(data.train.batches(1)).images[:1]
    corner = np.asarray(sheet)[2 : 2 + 72 : factor, 2 : 2 + 72 : factor, 0]
    assert np.array_equal(corner, denormalize(first, data.statistics)[0, 0].numpy())


def test_long_class_names_are_shortened_and_few_images_make_a_small_sheet() -> None:
    data = open_data("synthetic", parameters={"size": 80, "images": 3, "classes": 3})
    names = tuple("a very long name of a class indeed" + str(n) for n in range(3))
    sheet = contact_sheet(data.train, targets=Targets(names=names), statistics=data.statistics)
    assert sheet.size == (3 * 84, 98)
