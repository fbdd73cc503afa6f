"""One split of a run's data, the others not read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cnntrain.assemble.parts import data_errors, evaluation_batch, uses_channels_last
from cnntrain.config.load import Loaded
from cnntrain.core import kinds
from cnntrain.core.errors import UsageError
from cnntrain.data.batch import Batching
from cnntrain.data.loaders import ListError, worker_count
from cnntrain.data.memory import make_loader
from cnntrain.data.pipeline import TransformError
from cnntrain.data.read import class_counts, open_splits
from cnntrain.data.splits import Part, Splits
from cnntrain.data.stream import StreamLoader
from cnntrain.record.progress import WatchedLoader

if TYPE_CHECKING:
    from cnntrain.model.model import Model

Split = kinds.Split


@dataclass(frozen=True)
class OneSplit:
    """The images of a split, with the classes and counts of the whole data set."""

    name: Split
    part: Part
    classes: tuple[str, ...]
    counts: dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class OpenSplit:
    """A split with its loader."""

    loader: WatchedLoader
    classes: tuple[str, ...]
    counts: dict[str, tuple[int, ...]]

    def close(self) -> None:
        """End the worker processes, if there are any."""
        if isinstance(self.loader.loader, StreamLoader):
            self.loader.loader.close()


def find_split(loaded: Loaded, wanted: Split | None) -> OneSplit:
    """The images of a split; no pixel of image files is read yet.

    Args:
        loaded: the run file.
        wanted: the test set if there is one, else validation, else training.

    Raises:
        UsageError: there is no such split.
        DataError: files are missing.
    """
    splits = every_split(loaded)
    parts: dict[Split, Part | None] = {
        "test": splits.test,
        "validation": splits.validation,
        "train": splits.train,
    }
    there = {name: part for name, part in parts.items() if part is not None}
    name = wanted or next(iter(there))
    if name not in there:
        message = f"the data have no {name} split"
        raise UsageError(message, remedy=f"there is: {', '.join(there)}")
    return OneSplit(name, there[name], splits.classes, class_counts(splits))


def every_split(loaded: Loaded) -> Splits:
    """The images of all splits; no pixel of image files is read yet.

    Raises:
        DataError: files are missing.
    """
    data = loaded.config.data
    with data_errors(loaded):
        return open_splits(
            data.name,
            parameters=data.parameters,
            validation=data.held_out,
            seed=loaded.config.seed,
        )


def open_split(split: OneSplit, model: Model) -> OpenSplit:
    """The batches of a split, in stored order, prepared as the network was evaluated in training.

    Raises:
        DataError: images are unreadable.
        ConfigError: a transform is impossible on them, at its line.
    """
    config = model.loaded.config
    data = config.data
    batching = Batching(
        evaluation_batch(model.loaded),
        seed=config.seed,
        device=model.device,
        channels_last=uses_channels_last(config.compute, model.device),
    )
    with data_errors(model.loaded):
        try:
            loader = make_loader(
                split.part,
                model.pipeline,
                name=split.name,
                memory=data.memory,
                workers=worker_count(data.workers, model.device),
                batching=batching,
            )
        except TransformError as error:
            raise ListError("eval", error.position, error.name, error.reason) from error
    return OpenSplit(WatchedLoader(loader, what=split.name), split.classes, split.counts)
