"""The forms of what an image is learnt with, in words. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias

from cnntrain.core.entry import Entry

TargetForm: TypeAlias = Literal["classes", "numbers", "labels", "image", "several", "distances"]
"""See `cnntrain.tasks.targets`."""
Wanted: TypeAlias = TargetForm | tuple[TargetForm, ...]
"""What is learnt: one form, or those of several heads."""

IN_WORDS: Mapping[TargetForm, str] = {
    "classes": "a class",
    "numbers": "numbers",
    "labels": "labels",
    "image": "an image",
    "several": "several things",
    "distances": "distances between images",
}
"""What each image has, or is to be given."""

STORED_AS: Mapping[TargetForm, TargetForm] = {"distances": "classes"}
"""Forms that are made of what data sets have: distances of which images are of one class."""

UNNAMED: tuple[TargetForm, ...] = ("image", "distances")
"""Forms of which no output of the network has a name, so that `$num_classes` has no meaning."""

_OUTPUTS: Mapping[TargetForm, str] = {
    "classes": "logits",
    "numbers": "numbers",
    "labels": "labels",
    "image": "image",
    "several": "heads",
    "distances": "vectors",
}


def form_of(entry: Entry) -> TargetForm:
    """That a task learns, or a data set has."""
    found: TargetForm = entry.options.get("form", "classes")
    return found


def has_image(wanted: Wanted | None) -> bool:
    """Whether an image is learnt, alone or among other things."""
    return wanted is not None and "image" in ((wanted,) if isinstance(wanted, str) else wanted)


def in_words(forms: Iterable[TargetForm]) -> str:
    """`a class and numbers`."""
    return " and ".join(IN_WORDS[form] for form in forms)


def fits(loss: Entry) -> tuple[TargetForm, ...]:
    """The forms that a loss is for."""
    return tuple(loss.options.get("fits", ("classes",)))


def output_of(task: Entry) -> str:
    """What an exported network gives, in a word: its own, else that of the form."""
    return str(task.options.get("output", _OUTPUTS[form_of(task)]))
