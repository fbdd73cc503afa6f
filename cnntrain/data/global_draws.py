"""What a user's transform draws from the process's own generators, made a function of the run.

cnntrain's transforms draw from the generator that they are given. One of a plugin may call
`random.random()`, `numpy.random` or `torch.rand`, in this process or in a worker.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def drawing_from(seed: int) -> Iterator[None]:
    """Python's, numpy's and torch's (CPU) global numbers come from this seed, and only within.

    About 0.1 ms. What the process itself draws afterwards is what it would have drawn before.
    """
    python, numpy, default = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(default)
