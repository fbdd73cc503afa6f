"""The splits of a run's data."""

from __future__ import annotations

from cnntrain.assemble.translation import data_errors
from cnntrain.config.load import Loaded
from cnntrain.core import kinds
from cnntrain.data.read import open_splits
from cnntrain.data.splits import Splits

Split = kinds.Split


def every_split(loaded: Loaded) -> Splits:
    """The images of all splits; no pixel of image files is read yet.

    Raises:
        DataError: files are missing.
    """
    data = loaded.config.data
    with data_errors(loaded):
        return open_splits(
            data.name,
            parameters=data.parameters,
            validation=data.held_out,
            seed=loaded.config.seed,
        )
