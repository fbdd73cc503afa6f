"""What files of weights hold beside tensors, read past: nothing of it is imported or run.

Programs keep a learning rate of numpy's, their arguments or a path in the file of their weights.
`STAND_INS` has torch take a class that does nothing for each of these names; for all others its
`weights_only` unpickler ends with an error.
"""

from __future__ import annotations

from collections.abc import Callable


class Unused:
    """Stands for such a value: it takes any arguments and any state, and keeps neither."""

    def __new__(cls, *_: object) -> Unused:
        """Nothing but an object."""
        return object.__new__(cls)

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, _: object) -> None: ...


_PATHS = ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")
_OLD_LIGHTNING = "pytorch_lightning.callbacks"

STAND_INS: list[Callable[..., object] | tuple[Callable[..., object], str]] = [
    (Unused, name)
    for name in (
        "numpy.dtype",
        "numpy.ndarray",
        *(f"numpy.{core}.multiarray.{made}"  # of NumPy 1 and 2
          for core in ("core", "_core") for made in ("scalar", "_reconstruct")),
        "argparse.Namespace",
        *(f"{module}.{kind}"  # of Python up to 3.12, and 3.13
          for module in ("pathlib", "pathlib._local") for kind in _PATHS),
        f"{_OLD_LIGHTNING}.model_checkpoint.ModelCheckpoint",  # keys of its callbacks before 1.5
        f"{_OLD_LIGHTNING}.early_stopping.EarlyStopping",
    )
]  # fmt: skip
"""For `torch.serialization.safe_globals`."""
