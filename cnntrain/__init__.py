"""cnntrain: train, check, explain and reuse convolutional networks that are described in YAML.

The front door: `build`, `fit`, `load`, `diagnose`. torch is imported when one of them is used.
"""

from __future__ import annotations

from cnntrain.core.version import __version__

TYPE_CHECKING = False  # typing takes time, and the command `cnntrain` begins here
if TYPE_CHECKING:
    from typing import Any

    from cnntrain.assemble.build_network import build
    from cnntrain.diagnose.diagnose import examine as diagnose
    from cnntrain.fit.fitted import fit
    from cnntrain.model.opening import load

__all__ = ["__version__", "build", "diagnose", "fit", "load"]

_ROOMS = ("diagnose", "fit")
"""The functions that have a room's name: the room itself can be called."""

_HOMES = {"build": "cnntrain.assemble.build_network", "load": "cnntrain.model.opening"}
"""The modules of the others."""


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _ROOMS:
        return import_module(f"cnntrain.{name}")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'cnntrain' has no attribute '{name}'")


def __dir__() -> list[str]:
    return __all__
