"""Who listens to a run: one visible list."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import torch

from cnntrain.assemble.prepare import Prepared
from cnntrain.assemble.transfer.make_freezing import in_words
from cnntrain.checkpoint import save
from cnntrain.config.resolved import resolved_tree
from cnntrain.core.version import __version__
from cnntrain.data import TRANSFORMS
from cnntrain.data.loaders import core_count, unmixed, worker_count
from cnntrain.data.preview import denormalize
from cnntrain.data.resident import ResidentLoader
from cnntrain.model.saved_state import whole_state
from cnntrain.record.checkpoints import CheckpointKeeper, Saves
from cnntrain.record.console import Console
from cnntrain.record.log import EventLog
from cnntrain.record.metrics_file import MetricsFile
from cnntrain.record.observe import Observer
from cnntrain.record.summary import SummaryFile
from cnntrain.record.tensorboard import TensorBoard
from cnntrain.runs.folder import RunFolder

SAMPLE_IMAGES = 16

UNSELECTED = (
    "there are no validation images, so nothing tells which weights are best: the last ones count; "
    "data.validation: 0.1 sets some training images aside"
)


def make_observers(
    prepared: Prepared,
    *,
    run: RunFolder,
    quiet: bool,
    silent: bool = False,
    notes: Sequence[str] = (),
    last_is_sound: bool = True,
) -> list[Observer]:
    """The observers of a run, in the order in which they see each event.

    Metrics come before checkpoints, so that no checkpoint is ahead of its metrics.
    """
    record = prepared.loaded.config.record
    board = _tensorboard(prepared, run) if record.tensorboard else None
    keeper = CheckpointKeeper(
        run.checkpoints,
        snapshot=partial(whole_state, prepared),
        save=save,
        every_steps=record.checkpoint_every,
        finite=lambda: not bool(prepared.learner.state.diverged),
        last_is_sound=last_is_sound,
        **({} if board is None else {"before_save": board.flush}),
    )
    observers: list[Observer] = [
        MetricsFile(jsonl=run.metrics_jsonl, csv=run.metrics_csv),
        EventLog(),
    ]
    if board is not None:
        observers.append(board)
    observers += [
        keeper,
        SummaryFile(run.summary, facts=lambda: _facts(prepared, keeper.saves)),
    ]
    if not silent:
        observers.append(console(prepared, run=run.path, quiet=quiet, notes=notes))
    return observers


def console(
    prepared: Prepared,
    *,
    run: Path | None = None,
    quiet: bool = False,
    notes: Sequence[str] = (),
) -> Console:
    """What tells a person how the training goes."""
    told = [*card(prepared), *_notes(notes)]
    return Console(run=run, card=told, quiet=quiet, data_cure=data_cure(prepared))


def card(prepared: Prepared) -> list[tuple[str, str]]:
    """What is told at the start: network, data, device, recipe."""
    config, data, plan = prepared.loaded.config, prepared.data, prepared.plan
    counts = ", ".join(f"{sum(n):,} {split}" for split, n in data.counts.items())
    shape = "x".join(map(str, plan.body.in_shape))
    network = f"{plan.parameters:,} parameters, {plan.multiply_adds:,} multiply-adds an image"
    device = str(prepared.device)
    if prepared.device.type == "cuda":
        device += f" ({torch.cuda.get_device_name(prepared.device)})"
    elif prepared.device.type == "cpu":
        threads = torch.get_num_threads()
        device += f" ({threads} thread{'s' if threads != 1 else ''})"
    options: list[str] = [config.compute.precision]
    options += ["compiled"] if config.compute.compile else []
    options += ["deterministic"] if config.compute.deterministic else []
    train = prepared.loaded.train
    recipe = (
        f"{train.optimizer.name}, learning rate {train.optimizer.lr:g}, {train.schedule.name}; "
        f"{train.epochs} epochs of {data.train.batches_per_epoch:,} batches of "
        f"{config.data.batch_size}"
    )
    rows = [
        ("run", f"{config.name} (cnntrain {__version__}, seed {config.seed})"),
        ("network", f"{shape} -> {len(data.classes)} classes, {network}"),
        ("data", f"{config.data.name}: {counts} images"),
        ("training", recipe),
        ("device", f"{device}, {', '.join(options)}"),
    ]
    weights = [] if prepared.start is None else prepared.start.rows()
    moving = in_words(prepared.learning, lr=train.optimizer.lr)
    unselected = [] if data.validation is not None else [UNSELECTED]
    return [*rows, *weights, *moving, *_notes([*data.notes, *unselected])]


def data_cure(prepared: Prepared) -> str:
    """What to do in this run, if training waits for its images."""
    section = prepared.loaded.config.data
    if isinstance(unmixed(prepared.data.train), ResidentLoader):
        names = [call.name for call in section.transforms.train]
        slow = [name for name in names if TRANSFORMS.entry(name).options.get("by_image")]
        if slow:
            return f"{slow[0]} is slow; with data.memory: stream the workers (data.workers) do it"
        return (
            "they are in memory already, so it is the transforms: take out the slowest of "
            "data.transforms.train (affine, color_jitter), or give compute.threads more"
        )
    workers, cores = worker_count(section.workers, prepared.device), core_count()
    cures = [f"keep them in memory (data.memory: resident, now {section.memory})"]
    if workers < cores:
        cures.insert(0, f"raise data.workers (now {workers}; there are {cores} cores)")
    cures.append("store the images no larger than training needs them")
    return ", or ".join(cures)


def _notes(texts: Sequence[str]) -> list[tuple[str, str]]:
    return [("note", text) for text in texts]


def _tensorboard(prepared: Prepared, run: RunFolder) -> TensorBoard:
    data = prepared.data
    shown = None
    if prepared.learner.state.step == 0 and not prepared.learner.part:  # a probe has no images
        images = next(iter(data.train.batches(1))).images[:SAMPLE_IMAGES]
        shown = denormalize(images, data.statistics).float() / 255
    return TensorBoard(
        run.tensorboard,
        net=prepared.learner.model,
        images=shown,
        settings=_flat(resolved_tree(prepared.loaded.config)),
    )


def _flat(tree: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """The settings that a search may vary, under dotted names; the architecture is no number."""
    found: dict[str, object] = {}
    for key, value in tree.items():
        if key in ("arch", "plugins"):
            continue
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def _facts(prepared: Prepared, saves: Saves) -> dict[str, object]:
    return {
        "checkpoints": {"files": saves.files, "seconds": saves.seconds, "bytes": saves.bytes},
        "peak_memory_bytes": _peak_memory(prepared.device),
    }


def _peak_memory(device: torch.device) -> int | None:
    """Of the GPU's allocator, or of this process; None where nobody tells."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return None
    import resource  # not there on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
