"""cnntrain: train, check, explain and reuse convolutional networks that are described in YAML.

The front door: `build`, `fit`, `load`, `diagnose`. torch is imported when one of them is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cnntrain.core.version import __version__

if TYPE_CHECKING:
    from cnntrain.assemble.from_python import build

__all__ = ["__version__", "build"]

_HOMES = {"build": "cnntrain.assemble.from_python"}
"""The module of each function; `fit` and `diagnose` are rooms that can be called."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'cnntrain' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
