"""Every test of this folder trains in a place of its own."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _apart(own_place: None) -> None:
    """No run folder or setting of one test is seen by another."""
