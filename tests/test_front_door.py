"""`import cnntrain`: nothing heavy is imported until it is used."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import cnntrain

ROOMS = ("diagnose", "fit")
HEAVY = ("torch", "numpy", "pydantic", "yaml", "matplotlib")


def test_importing_it_imports_nothing_heavy() -> None:
    command = [sys.executable, "-X", "importtime", "-c", "import cnntrain; dir(cnntrain)"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "cnntrain" in imported
    assert not {name.split(".")[0] for name in imported} & set(HEAVY)


def test_its_names_are_there_in_every_order_of_imports() -> None:
    for module in ("cnntrain.fit.folds", "cnntrain.diagnose.diagnose"):
        importlib.import_module(module)  # binds the name of the room in the package
    assert set(dir(cnntrain)) == set(cnntrain.__all__)
    for name in set(cnntrain.__all__) - {"__version__"}:
        function = getattr(cnntrain, name)
        assert callable(function), name
        assert inspect.signature(function).return_annotation, name
        assert "Raises:" in (function.__call__.__doc__ if name in ROOMS else function.__doc__)
    with pytest.raises(AttributeError, match="module 'cnntrain' has no attribute 'train_it'"):
        _ = cnntrain.train_it  # type: ignore[attr-defined]


def test_the_package_is_marked_as_typed() -> None:
    assert (Path(cnntrain.__file__).parent / "py.typed").is_file()
