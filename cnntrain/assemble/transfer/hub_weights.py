"""Weights of the Hugging Face hub: from its library's cache, or fetched, at one commit."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from cnntrain.assemble.transfer.name_maps import map_of
from cnntrain.checkpoint.foreign import Rule
from cnntrain.core.errors import CheckpointError, UsageError
from cnntrain.core.kinds import Interpolation

LOG = logging.getLogger("cnntrain.weights")

FILES = ("model.safetensors", "pytorch_model.bin")
"""Names of files with weights on the hub, the preferred one first."""
CONFIG = "config.json"

_HASHES = {64: "sha256", 40: "sha1"}
"""By the length of a name in the cache: git's own hash, or that of a large file."""


@dataclass(frozen=True)
class OnHub:
    """A repository of the hub.

    Args:
        name: such as timm/resnet50.a1_in1k.
        revision: a commit, a tag or a branch; a commit where it has been found.
        download: whether what is not in the cache is fetched.
        about: its config.json; empty where it has none.
    """

    name: str
    revision: str
    download: bool
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> Mapping[str, Any]:
        """What timm says of the weights."""
        found = self.about.get("pretrained_cfg", self.about)
        return found if isinstance(found, Mapping) else {}


def find_on_hub(name: str, *, revision: str | None, download: bool) -> OnHub:
    """The repository at the commit that a revision is, in the cache rather than on the hub.

    Args:
        name: of the repository, `owner/name`.
        revision: a commit, a tag or a branch; None: main.
        download: fetch config.json if it is not in the cache.

    Raises:
        CheckpointError: it is not there, or cannot be fetched.
        UsageError: the library is not installed.
    """
    asked = OnHub(name, revision or "main", download)
    file = _file(asked, CONFIG)
    commit = (file or fetch_weights(asked)).parent.name
    return OnHub(name, commit, download, {} if file is None else _read(file))


def fetch_weights(found: OnHub) -> Path:
    """The file with the weights, whose content has the hash that the hub states.

    Raises:
        CheckpointError: there is none, it cannot be fetched, or it is damaged.
    """
    file = next((path for name in FILES if (path := _file(found, name)) is not None), None)
    if file is not None:
        return _undamaged(file)
    if found.download:
        message = f"{found.name} has no {' and no '.join(FILES)}"
        raise CheckpointError(message, remedy="download its file yourself, and name it as `file:`")
    raise CheckpointError(
        f"{found.name} at revision {found.revision} is not in the cache of huggingface_hub",
        remedy="set finetune.weights.download: true to fetch it",
    )


def names_on_hub(found: OnHub) -> tuple[Rule, ...]:
    """The map of names for its architecture: timm's, else torchvision's, which often are equal."""
    architecture = found.about.get("architecture")
    return map_of(str(architecture), "timm", "torchvision") or ()


def steps_on_hub(found: OnHub) -> tuple[dict[str, Any], ...] | None:
    """timm's evaluation transforms as ours; None where config.json does not state them, or others.

    An image is resized to side / crop_pct, rounded down, and its middle is cut out (timm,
    data/transforms_factory.py).

    Raises:
        CheckpointError: what config.json states is not possible.
    """
    stated, how = found.settings, _interpolation(found)
    how = how if how in get_args(Interpolation) else "bilinear"  # which `notes_on_hub` says
    if not {"mean", "std", "input_size"} <= stated.keys() or _other_crop(found):
        return None
    try:
        _, height, width = map(int, stated["input_size"])
        share = float(stated.get("crop_pct") or 0.875)
        resized = math.floor(min(height, width) / share)
        numbers = {key: [float(each) for each in stated[key]] for key in ("mean", "std")}
    except (TypeError, ValueError, ArithmeticError) as error:
        message = f"{CONFIG} of {found.name} states no possible preprocessing ({error})"
        raise CheckpointError(message, remedy="take other weights, or another revision") from error
    return (
        {"name": "resize", "size": resized, "interpolation": how},
        {"name": "center_crop", "size": [height, width]},
        {"name": "normalize", **numbers},
    )


def notes_on_hub(found: OnHub) -> tuple[str, ...]:
    """In which way cnntrain prepares images otherwise than timm did."""
    if crop := _other_crop(found):
        return (f"images were prepared for these weights with timm's crop_mode '{crop}'",)
    if (how := _interpolation(found)) not in get_args(Interpolation):
        return (f"images are resized bilinearly, but for these weights it was {how}",)
    return ()


def classes_on_hub(found: OnHub) -> tuple[str, ...] | None:
    """The names of the outputs; None where config.json has none."""
    for place in (found.about, found.settings):
        names = place.get("label_names", place.get("labels"))
        if isinstance(names, list) and names and all(isinstance(name, str) for name in names):
            return tuple(names)
    return None


def _interpolation(found: OnHub) -> str:
    """timm's name of it; bicubic where it is not stated (timm, data/config.py)."""
    return str(found.settings.get("interpolation") or "bicubic")


def _other_crop(found: OnHub) -> str:
    crop = str(found.settings.get("crop_mode") or "center")
    return "" if crop == "center" else crop


def _file(asked: OnHub, name: str) -> Path | None:
    """A file of the repository; None where it has none, or the cache, if nothing is fetched."""
    hub = _library()
    get, errors = hub.hf_hub_download, hub.errors
    try:
        return Path(get(asked.name, name, revision=asked.revision, local_files_only=True))
    except errors.LocalEntryNotFoundError:
        if not asked.download:
            return None
    except ValueError as error:  # a name as no repository has it
        message = f"the hub has no repository '{asked.name}'"
        raise CheckpointError(message, remedy="write owner/name") from error
    LOG.info("fetching %s of %s at %s", name, asked.name, asked.revision)
    try:
        return Path(get(asked.name, name, revision=asked.revision))
    except errors.RepositoryNotFoundError as error:
        message = f"the hub has no repository '{asked.name}', or you may not read it"
        raise CheckpointError(message, remedy="check the name; `hf auth login`") from error
    except errors.RevisionNotFoundError as error:
        message = f"{asked.name} has no revision '{asked.revision}'"
        raise CheckpointError(message, remedy="give a commit, a tag or a branch of it") from error
    except (OSError, ValueError, RuntimeError, errors.HTTPError) as error:
        missing = isinstance(error, errors.EntryNotFoundError)
        if missing and not isinstance(error, errors.LocalEntryNotFoundError):
            return None
        said = next(iter(str(error).splitlines()), type(error).__name__).rstrip(". ")
        raise CheckpointError(
            f"{name} of {asked.name} is not in the cache of huggingface_hub and cannot be fetched: "
            f"{said}",
            remedy="fetch it where the network is, and set HF_HUB_CACHE to a copy of the cache",
        ) from error


def _library() -> Any:
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        import huggingface_hub  # an extra
        import huggingface_hub.errors
    except ImportError as error:
        message = "finetune.weights.hub needs the library huggingface_hub"
        raise UsageError(message, remedy="pip install 'cnntrain[hub]'") from error
    return huggingface_hub


def _read(file: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(_undamaged(file).read_bytes())
    except (ValueError, RecursionError) as error:
        message = f"{file} is not JSON"
        raise CheckpointError(message, remedy=f"delete {file.resolve()}, fetch it again") from error
    return found if isinstance(found, Mapping) else {}


def _undamaged(file: Path) -> Path:
    """The same file, if its content has the hash that it is called by; a mere copy has no hash."""
    if not file.is_symlink():
        return file
    stated = file.readlink().name  # not of what that leads to, which several caches may share
    size = file.stat().st_size
    start = b"" if len(stated) == 64 else b"blob %d\0" % size
    if kind := _HASHES.get(len(stated)):
        found = hashlib.new(kind, start, usedforsecurity=False)
        with file.open("rb") as content:
            for part in iter(lambda: content.read(1 << 20), b""):
                found.update(part)
        if found.hexdigest() != stated:
            message = f"{file} is damaged: its content ({size:,} bytes) is not what the hub states"
            raise CheckpointError(message, remedy=f"delete {file.resolve()}, fetch it again")
    return file
