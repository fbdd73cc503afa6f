"""A room of the house whose name is also that of a function of the front door."""

from __future__ import annotations

import inspect
import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class CallableRoom(ModuleType):
    """A package that is called as its function `from_python.NAME`, where NAME is its own.

    Importing `cnntrain.fit.folds` binds `cnntrain.fit` to the package, whatever was there before;
    so it is the package itself that `cnntrain.fit(...)` calls. Editors and type checkers read the
    function's signature from `cnntrain/__init__.py`, notebooks from `__signature__`.
    """

    @property
    def __call__(self) -> Any:
        """The function; its module is imported only now."""
        name = self.__name__.rpartition(".")[2]
        return getattr(import_module(f"{self.__name__}.from_python"), name)

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self.__call__)


def make_callable(name: str) -> None:
    """Make the package of this name, which is being imported, one that can be called."""
    sys.modules[name].__class__ = CallableRoom
