"""Who listens to a run: one visible list."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import torch
from torch import Tensor

from cnntrain.assemble.make_parts import make_choice
from cnntrain.assemble.needed_packages import missing_packages
from cnntrain.assemble.prepare import Prepared, whole_state
from cnntrain.assemble.transfer.make_freezing import in_words
from cnntrain.assemble.translation import uses_channels_last
from cnntrain.checkpoint.writer import Saves, Writer
from cnntrain.config.loaded import Loaded
from cnntrain.config.resolved import resolved_tree
from cnntrain.config.schema import ObserverCall
from cnntrain.core.cores import core_count
from cnntrain.core.errors import ConfigError, UsageError
from cnntrain.core.trust import trust_place
from cnntrain.core.version import __version__
from cnntrain.data import TRANSFORMS
from cnntrain.data.loaders import unmixed, worker_count
from cnntrain.data.pipeline import build_pipeline
from cnntrain.data.resident import ResidentLoader
from cnntrain.data.statistics import denormalize
from cnntrain.record.observe import Observer
from cnntrain.record.time_left import Ahead
from cnntrain.runs.folder import RunFolder
from cnntrain.show.words import counted
from cnntrain.train import undisturbed
from cnntrain.train.snapshot import weights_alone

SAMPLE_IMAGES = 16

FEW = 200
"""Validation images below which the standard deviation of an error of 20 % is 3 points or more."""

UNSELECTED = (
    "there are no validation images, so the best weights are unknown: the last ones count; "
    "-s data.split.validation=0.2 holds some out"
)


@undisturbed()  # a module that is imported now may draw a random number, as rich does
def make_observers(
    prepared: Prepared,
    *,
    run: RunFolder | None,
    writer: Writer | None,
    quiet: bool = False,
    silent: bool = False,
    notes: Sequence[str] = (),
    last_is_current: bool = False,
) -> list[Observer]:
    """The observers of a run, in the order in which they see each event.

    Metrics come before checkpoints, so that no checkpoint is ahead of its metrics. Without a folder
    (`run` is None) nothing is written but by those that `record.observers` lists.
    """
    config = prepared.loaded.config
    if missing := list(missing_packages(prepared.loaded)):
        raise ConfigError.of(missing)
    named: dict[str, Any] = {}
    files = ("metrics_jsonl", "metrics_csv", "summary", "tensorboard", "checkpoints")
    # What an observer may ask for by the name of a parameter; files are None without a folder.
    given = {
        "run": None if run is None else run.path,
        **{name: None if run is None else getattr(run, name) for name in files},
        "net": prepared.learner.model,
        "images": partial(_sample_images, prepared),
        "classes": prepared.data.classes,
        "settings": _flat(resolved_tree(config)),
        "admit": partial(_admit, prepared.loaded),
        "card": [*card(prepared), *_notes(notes)],
        "quiet": quiet or silent,
        "stream": sys.stderr,
        "clock": time.monotonic,
        "snapshot": partial(whole_state, prepared),
        "writer": writer,
        "before_save": lambda: named["tensorboard"].flush() if "tensorboard" in named else None,
        "checkpoint_every": config.record.checkpoint_every,
        "best_part": weights_alone if config.record.best_weights_only else None,
        "finite": prepared.learner.is_finite,
        "last_is_current": last_is_current,
        "facts": lambda: _facts(prepared, writer),
        "data_cure": data_cure(prepared),
        "ahead": _ahead(prepared),
    }
    make = partial(make_choice, loaded=prepared.loaded, given=given)

    def built_in(*names: str) -> list[Observer]:
        named.update({name: make(ObserverCall(name=name), path=("record",)) for name in names})
        return [named[name] for name in names]

    board = ["tensorboard"] if config.record.tensorboard else []
    return [
        *(built_in("metrics_file", "log", *board) if run is not None else []),
        *(_listed(make, index, prepared.loaded) for index in range(len(config.record.observers))),
        *(built_in("checkpoints", "summary") if run is not None else []),
        *(built_in("console") if not silent else []),
    ]


def _listed(make: Callable[..., Any], index: int, loaded: Loaded) -> Observer:
    """One of `record.observers`."""
    call = loaded.config.record.observers[index]
    path = ("record", "observers", index, call.name)
    observer: Observer = make(call, path=path)
    for method in ("observe", "close"):
        if not callable(getattr(observer, method, None)):
            message = f"the observer '{call.name}' has no method `{method}`"
            remedy = "an observer has `observe(event)` and `close()`"
            raise ConfigError.of([loaded.problem(path, message, remedy, key=True)])
    return observer


def _admit(loaded: Loaded, place: str) -> None:
    """Refuse to send figures to a place that a run asks for, and its user has never named."""
    if not trust_place(place, is_named=loaded.names_observers):
        raise UsageError(
            f"nothing is sent to {place}, which the run names and you have not: write "
            "record.observers out with -s to allow it"
        )


def card(prepared: Prepared) -> list[tuple[str, str]]:
    """What is said at the start: network, data, device, recipe."""
    config, data, plan = prepared.loaded.config, prepared.data, prepared.plan
    loaders = {"train": data.train, "validation": data.validation, "test": data.test}
    counts = ", ".join(f"{it.size:,} {split}" for split, it in loaders.items() if it is not None)
    shape = "x".join(map(str, plan.body.in_shape))
    outputs = data.targets.described
    network = f"{plan.parameters:,} parameters, {plan.multiply_adds:,} multiply-adds per image"
    device, options = str(prepared.device), [str(prepared.learner.precision)]
    if prepared.device.type == "cuda":
        device += f" ({torch.cuda.get_device_name(prepared.device)})"
        options += _on_gpu(prepared)
    elif prepared.device.type == "cpu":
        threads = torch.get_num_threads()
        device += f" ({counted(threads, 'thread')})"
    options += ["compiled"] if config.compute.compile else []
    options += ["steps as CUDA graphs"] if config.compute.cuda_graphs else []
    options += ["deterministic"] if config.compute.deterministic else []
    train = prepared.loaded.train
    recipe = (
        f"{train.optimizer.name}, learning rate {prepared.recipe.lr:g}, {train.schedule.name}; "
        f"{counted(train.epochs, 'epoch')} of "
        f"{counted(data.train.batches_per_epoch, 'batch', 'batches')} of {config.data.batch}"
    )
    if (count := prepared.learner.processes.count) > 1:
        device += f", in each of {count} processes"
    rows = [
        ("run", f"{config.name} (cnntrain {__version__}, seed {config.seed})"),
        ("network", f"{shape} -> {outputs}, {network}"),
        ("data", f"{config.data.name}: {counts} images"),
        ("training", recipe),
        ("device", f"{device}, {', '.join(options)}"),
    ]
    rows += [] if prepared.start is None else prepared.start.rows()
    rows += in_words(prepared.learning, lr=prepared.recipe.lr)
    notes = [*data.notes, *_on_selection(prepared)]
    if config.data.batch > data.train.size:
        notes.append(
            f"a batch has {data.train.size:,} images, not {config.data.batch:,}: there are no "
            "more; the learning rate is for such a batch"
        )
    if isinstance(config.data.workers, int) and config.data.workers > core_count():
        workers, cores = config.data.workers, counted(core_count(), "core")
        notes.append(f"{workers} processes read images on {cores}; data.workers: auto has fewer")
    if config.compute.compile and prepared.device.type == "cpu":
        notes.append(
            "the first step waits while the network is compiled, and on a CPU the steps of small "
            "networks can be slower than without; `cnntrain bench FILE --compile` measures both"
        )
    return rows + _notes(notes)


def _on_gpu(prepared: Prepared) -> Iterator[str]:
    """How a GPU computes, as torch's switches and the run file have it."""
    if prepared.learner.precision == "float32" and torch.backends.cudnn.allow_tf32:
        everywhere = torch.backends.cuda.matmul.allow_tf32
        yield "TF32 in all products" if everywhere else "TF32 in convolutions"
    if uses_channels_last(prepared.loaded.config.compute, prepared.device):
        yield "channels last"


def _on_selection(prepared: Prepared) -> Iterator[str]:
    """What is to be said where no image selects the weights, or too few do."""
    validation, train = prepared.data.validation, prepared.loaded.train
    if validation is None:
        yield UNSELECTED
    elif validation.size < FEW and train.epochs > 1 and not prepared.recipe.keeps_last:
        is_error = prepared.learner.task.figures[0] == "error"
        share = f" (one image is {1 / validation.size:.1%} of the error)" if is_error else ""
        yield (
            f"the best epoch is chosen by {counted(validation.size, 'validation image')}, which is "
            f"partly chance{share}; "
            "`-s train.select=last` keeps the weights of the last epoch instead"
        )


def _ahead(prepared: Prepared) -> Ahead:
    """What takes time besides the training steps; after the last epoch, tests and recalibration."""
    data, recipe = prepared.data, prepared.recipe
    validation, test = (0 if it is None else it.size for it in (data.validation, data.test))
    again = data.train.size + validation if prepared.loaded.train.recalibrate else 0
    return Ahead(
        device=prepared.device.type,
        evaluates=recipe.evaluates if data.validation is not None else lambda _: False,
        validation_images=validation,
        images_afterwards=test + again,
        may_end_early=recipe.early_stop is not None,
    )


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
    cures = [f"raise data.workers (now {workers}; there are {cores} cores)"] * (workers < cores > 1)
    if _can_be_kept(prepared):
        cures.append(f"keep them in memory (data.memory: resident, now {section.memory})")
    if section.cache is None:
        cures.append("decode them once (data.cache.short_side, such as 256)")
    cures.append("store the images no larger than training needs them")
    return ", or ".join(cures)


def _can_be_kept(prepared: Prepared) -> bool:
    """Whether training images can be kept in memory: they are made one size when they are read."""
    pipeline = build_pipeline(prepared.data.train_pipeline)
    return pipeline.divide(random_in_worker=False)[0].fixed_size() is not None


def _notes(texts: Sequence[str]) -> list[tuple[str, str]]:
    return [("note", text) for text in texts]


def _sample_images(prepared: Prepared) -> Tensor | None:
    """Images as the network sees them in training; None in a resumed run and of features."""
    if prepared.learner.state.step > 0 or prepared.learner.part:
        return None
    with undisturbed():  # a run that is resumed before its first step looks at them again
        images = next(iter(prepared.data.train.batches(1))).images[:SAMPLE_IMAGES]
    return denormalize(images, prepared.data.statistics).float() / 255


def _flat(tree: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """The settings that a search may vary, under dotted names; the architecture is no number."""
    found: dict[str, object] = {}
    for key, value in tree.items():
        if key in ("arch", "plugins", "observers"):
            continue
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def _facts(prepared: Prepared, writer: Writer | None) -> dict[str, object]:
    saves = Saves() if writer is None else writer.saves
    return {"checkpoints": asdict(saves), "peak_memory_bytes": _peak_memory(prepared.device)}


def _peak_memory(device: torch.device) -> int | None:
    """Of the GPU's allocator, or of this process; None where it is unknown."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return None
    import resource  # not there on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
