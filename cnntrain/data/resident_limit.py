"""How many images may stay decoded in a device's memory."""

from __future__ import annotations

import torch

from cnntrain.core.memory import host_memory

ON_HOST = 2 * 1024**3
"""Bytes a split in the computer's own memory."""

SHARE = 0.25
"""On a GPU of what is free there, and of the computer's memory, through which images pass."""


def resident_bytes(device: torch.device) -> int:
    """Bytes of image files up to which a split is kept decoded on a device."""
    if device.type != "cuda":
        return ON_HOST
    free, _ = torch.cuda.mem_get_info(device)
    return int(SHARE * min(free, host_memory() or free))
