"""What keeps images from training, though they are there."""

from __future__ import annotations

from cnntrain.config.loaded import Loaded

MOST, USUAL_SHARE = 0.5, 0.2
"""Share of the images that one split sets apart, beyond which two shares may be exchanged, and what
is usual."""


def withheld(loaded: Loaded) -> tuple[str, tuple[str, ...]]:
    """What in the run file keeps most images from training, in words, and without it."""
    split = loaded.config.data.split
    if split.train:
        return "data.split.train", ("data.split.train=null",)
    for name, share in (("test", split.test), ("validation", split.validation)):
        if isinstance(share, float) and share > MOST:
            return f"data.split.{name}", (f"data.split.{name}={USUAL_SHARE}",)
    return "", ()
