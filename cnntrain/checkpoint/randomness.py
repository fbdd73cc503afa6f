"""The states of all random generators that training may draw from, as plain values."""

from __future__ import annotations

import random

import numpy as np
import torch
from torch import Tensor

from cnntrain.checkpoint.archive import REMEDY
from cnntrain.checkpoint.checked_values import mapping_in, value_in, wrong_part
from cnntrain.checkpoint.primitives import State
from cnntrain.core.errors import CheckpointError

_PART = "random"
"""What this is called in a checkpoint."""
_UNFIT = (LookupError, TypeError, ValueError, AttributeError, RuntimeError, OverflowError)
"""What the generators raise for a state that is not theirs."""


def seed_randomness(seed: int) -> None:
    """Seed torch, Python's `random` and numpy, so that their numbers follow from the run's seed."""
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)  # the old interface, which is what plugins call


def capture_randomness() -> State:
    """The states of torch (CPU and every CUDA device), of Python's `random` and of numpy."""
    version, words, gauss = random.getstate()
    legacy = np.random.get_state(legacy=False)
    assert isinstance(legacy, dict)
    # A CUDA that was never used is not started just to ask for its state.
    started = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]  # torch's gap
    return {
        "torch": torch.get_rng_state(),
        "cuda": list(torch.cuda.get_rng_state_all()) if started else [],
        "python": {
            "version": version,
            "words": torch.tensor(words, dtype=torch.int64),
            "gauss": gauss,
        },
        "numpy": {
            "bit_generator": str(legacy["bit_generator"]),
            "key": torch.tensor(legacy["state"]["key"].tolist(), dtype=torch.int64),
            "pos": int(legacy["state"]["pos"]),
            "has_gauss": int(legacy["has_gauss"]),
            "gauss": float(legacy["gauss"]),
        },
    }


def restore_randomness(state: State) -> None:
    """Put all generators back; CUDA devices as far as both then and now have them.

    Raises:
        CheckpointError: the state is not one that `capture_randomness` made.
    """
    torch_state, cuda = (value_in(state, name, part=_PART) for name in ("torch", "cuda"))
    python, numpy = (mapping_in(state, name, part=_PART) for name in ("python", "numpy"))
    if not isinstance(cuda, list) or not all(isinstance(one, Tensor) for one in cuda):
        raise wrong_part(_PART, "cuda", cuda, "a list of states")
    try:
        torch.set_rng_state(torch_state)
        if torch.cuda.is_available():
            for device, one in enumerate(cuda[: torch.cuda.device_count()]):
                torch.cuda.set_rng_state(one, device)
        random.setstate((python["version"], tuple(python["words"].tolist()), python["gauss"]))
        key = np.array(numpy["key"].tolist(), dtype=np.uint32)
        np.random.set_state(
            {
                "bit_generator": numpy["bit_generator"],
                "state": {"key": key, "pos": numpy["pos"]},
                "has_gauss": numpy["has_gauss"],
                "gauss": numpy["gauss"],
            }
        )
    except _UNFIT as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        message = f"the checkpoint's part '{_PART}' is damaged: {reason}"
        raise CheckpointError(message, remedy=REMEDY) from error
