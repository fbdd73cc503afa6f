"""Networks that were found good: another mistake in their run files is then said at once.

Everything that is wrong with a run file is reported together, so the network is planned even where
a key is misspelt; but planning needs torch, which takes ten times as long to import as all else
takes. So what was planned without a complaint is remembered, by a hash of all that the plan follows
from. A run file without a mistake is planned whatever is remembered.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path

from cnntrain.config.loaded import Loaded
from cnntrain.core.atomic import write_atomically
from cnntrain.core.cache_folder import cache_folder
from cnntrain.core.errors import DiskError
from cnntrain.core.version import __version__
from cnntrain.data.metadata import facts

MOST = 500
"""Networks that are remembered; the oldest are forgotten."""

_GROUPS = {"groups", "decay_norm_and_bias"}
"""What of an optimizer names layers."""


def is_known(loaded: Loaded) -> bool:
    """Whether planning the network of a run file would find nothing wrong."""
    key = _key(loaded)
    return key is not None and key in _remembered(_file())


def remember(loaded: Loaded) -> None:
    """Note that it did not; where that cannot be written it is not remembered."""
    file, key = _file(), _key(loaded)
    before = _remembered(file)
    if key is None or key in before:
        return
    text = "".join(f"{each}\n" for each in [*before, key][-MOST:]).encode()
    with suppress(OSError, DiskError):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(
            file, lambda opened: opened.write(text), needed=len(text), mark=f".{os.getpid()}"
        )


def _key(loaded: Loaded) -> str | None:
    """None: the plan follows from more than what the run file says, or from code of the user's."""
    config = loaded.config
    if config.finetune is not None or config.plugins:
        return None
    data, train = config.data, config.train
    follows_from = (
        __version__,
        config.arch,
        config.vars,
        astuple(facts(data.name, data.parameters)),
        data.transforms.model_dump(),
        config.task.model_dump(),
        None if train is None else (train.loss.name, train.optimizer.model_dump(include=_GROUPS)),
    )
    text = json.dumps(follows_from, default=repr, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _remembered(file: Path) -> list[str]:
    try:
        return file.read_text("utf-8").split()
    except (OSError, UnicodeDecodeError):
        return []


def _file() -> Path:
    return cache_folder() / "networks.txt"
