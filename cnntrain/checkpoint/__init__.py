"""Checkpoints: plain values and tensors, written atomically, verified when they are read."""

from cnntrain.checkpoint.archive import damage
from cnntrain.checkpoint.primitives import State, tensors_in
from cnntrain.checkpoint.randomness import (
    capture_randomness,
    restore_randomness,
    seed_randomness,
)
from cnntrain.checkpoint.store import (
    LAST,
    PREVIOUS,
    StoredCheckpoint,
    load,
    load_newest,
    save,
)
from cnntrain.checkpoint.torch_files import read_torch_file

__all__ = [
    "LAST",
    "PREVIOUS",
    "State",
    "StoredCheckpoint",
    "capture_randomness",
    "damage",
    "load",
    "load_newest",
    "read_torch_file",
    "restore_randomness",
    "save",
    "seed_randomness",
    "tensors_in",
]
