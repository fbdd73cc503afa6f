"""What keeps images from training, though they are there."""

from __future__ import annotations

from dataclasses import dataclass

from cnntrain.config.loaded import Loaded

MOST, USUAL_SHARE = 0.5, 0.2
"""Share of the images that one split sets apart, beyond which two shares may be exchanged, and what
is usual."""


@dataclass(frozen=True)
class Withheld:
    """What keeps images from training: its key, the share of the images that it keeps as far as
    that is known, and the run file without it. An empty key where there is no such thing."""

    key: str = ""
    share: float = 0.0
    overrides: tuple[str, ...] = ()


def withheld(loaded: Loaded) -> Withheld:
    """What in the run file keeps most images from training."""
    split = loaded.config.data.split
    if split.train:
        return Withheld("data.split.train", overrides=("data.split.train=null",))
    for name, share in (("test", split.test), ("validation", split.validation)):
        if isinstance(share, float) and share > MOST:
            key = f"data.split.{name}"
            return Withheld(key, share, (f"{key}={USUAL_SHARE}",))
    return Withheld()
