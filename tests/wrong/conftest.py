"""Messages list what there is: without plugins that other tests left behind."""

import pytest

from cnntrain.data import DATASETS, TRANSFORMS
from cnntrain.layers import LAYERS


@pytest.fixture(autouse=True)
def _no_plugins() -> None:
    for catalogue in (LAYERS, DATASETS, TRANSFORMS):
        catalogue.forget_plugins()
