"""What all tests share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets that CNNTRAIN_DATA names."""
    root = os.environ.get("CNNTRAIN_DATA")
    if not root:
        pytest.skip("CNNTRAIN_DATA is not set: no real data on this machine")
    return Path(root)
