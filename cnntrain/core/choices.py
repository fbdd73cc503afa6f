"""Everything that a user may choose by name: one catalogue for each kind of thing.

A choice is one file in its kind's folder, or in a file that `plugins:` names; its signature is the
schema of its keys (see `catalogue`). `filled` are the parameters that follow from the run, and that
a file must not give. The folders are named, not imported: a room that is not there has no choices.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cnntrain.core.catalogue import Catalogue


class ChoiceError(ValueError):
    """A choice cannot be made with what one of its parameters says; the text is `what; remedy`.

    Args:
        parameter: its name; the message stands at its line of the run file.
        text: the message.
    """

    def __init__(self, parameter: str, text: str) -> None:
        super().__init__(text)
        self.parameter = parameter


_PACKAGE = Path(__file__).parents[1]


def _catalogue(
    kind: str, room: str, *, filled: tuple[str, ...] = (), origin: str = "the run"
) -> Catalogue:
    folder = _PACKAGE.joinpath(*room.split("."))
    return Catalogue(kind, folder, f"{_PACKAGE.name}.{room}", filled=filled, origin=origin)


LAYERS = _catalogue(
    "layer",
    "layers",
    filled=("in_channels", "in_features", "in_shape", "named"),
    origin="the layer above",
)
DATASETS = _catalogue("data set", "data.sets")
TRANSFORMS = _catalogue("transform", "data.transforms")
OPTIMIZERS = _catalogue("optimizer", "optim.optimizers", filled=("groups",))
SCHEDULES = _catalogue(
    "schedule", "optim.schedules", filled=("steps_per_epoch", "total_steps", "warmup_steps")
)
LOSSES = _catalogue("loss", "tasks.losses", filled=("weigh", "weigh_positive"))
PENALTIES = _catalogue("penalty", "train.penalties")
TASKS = _catalogue("task", "tasks", filled=("targets", "outputs"), origin="the data")
CHECKS = _catalogue(
    "check",
    "diagnose.checks",
    filled=(
        *("net", "trained", "is_trained", "is_pretrained", "plan"),
        *("sights", "reckoned"),
        *("method", "bare", "without", "criterion", "applies", "warmup", "shares"),
        *(
            "augmented",
            "batches",
            "batch",
            "small_batch",
            "few",
            "held_out",
            "train",
            "other",
            "shared",
            "doubled",
            "views",
        ),
        *(
            "task",
            "form",
            "loss",
            "classes",
            "class_names",
            "counts",
            "is_weighted",
            "train_images",
            "unseen",
        ),
        *("batch_size", "drops_last", "loader", "data_cure"),
        *("steps", "recipe_steps", "overfit_steps", "step_images", "weights", "variants"),
        *("substitutes", "transforms", "open_trial", "causes", "usual_rate", "optimizer_name"),
    ),
)
OBSERVERS = _catalogue(
    "observer",
    "record",
    filled=(
        *("run", "net", "images", "classes", "settings", "card", "quiet", "stream", "clock"),
        *("metrics_jsonl", "metrics_csv", "summary", "tensorboard", "checkpoints"),
        *("snapshot", "writer", "before_save", "checkpoint_every", "finite", "last_is_current"),
        *("best_part", "facts", "data_cure", "ahead", "admit"),
    ),
)
PICTURES = _catalogue("picture", "explain", filled=("model",))

CHOICES: Mapping[str, Catalogue] = {
    "layers": LAYERS,
    "datasets": DATASETS,
    "transforms": TRANSFORMS,
    "optimizers": OPTIMIZERS,
    "schedules": SCHEDULES,
    "losses": LOSSES,
    "penalties": PENALTIES,
    "tasks": TASKS,
    "checks": CHECKS,
    "observers": OBSERVERS,
    "pictures": PICTURES,
}
"""By the word that `cnntrain list` knows them by."""
