"""A room of the house whose name is also that of a function of the front door."""

from __future__ import annotations

import inspect
import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class CallableRoom(ModuleType):
    """A package that is called as one of its functions, `called_as` (MODULE.NAME).

    Importing `cnntrain.fit.folds` binds `cnntrain.fit` to the package, whatever was there before;
    so it is the package itself that `cnntrain.fit(...)` calls. Editors and type checkers read the
    function's signature from `cnntrain/__init__.py`, notebooks from `__signature__`.
    """

    called_as: str

    @property
    def __call__(self) -> Any:
        """The function; its module is imported only now."""
        module, _, name = self.called_as.partition(".")
        return getattr(import_module(f"{self.__name__}.{module}"), name)

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self.__call__)


def make_callable(name: str, *, function: str) -> None:
    """Make the package of this name, which is being imported, one that is called as a function."""
    room = sys.modules[name]
    room.__class__ = CallableRoom
    assert isinstance(room, CallableRoom)
    room.called_as = function
