"""What training does to its images at random, one thing at a time: without it, or with less of it.

A transform that does several things, as `affine`, is several suspects.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cnntrain.config.resolved import dump_yaml
from cnntrain.data import TRANSFORMS
from cnntrain.data.transform_parts import as_pair
from cnntrain.diagnose.training_views import Steps, TrainingViews, is_mixing, is_random

NOTHING: Mapping[str, Mapping[str, Any]] = {
    "affine": {"rotate": 0.0, "translate": 0.0, "scale": [1.0, 1.0], "shear": 0.0},
    "color_jitter": {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0},
}
"""Transforms that do several things, with what does nothing."""

MILD: Mapping[str, Mapping[str, Any]] = {
    "affine": {"rotate": 10.0, "translate": 0.1, "scale": [0.9, 1.1], "shear": 5.0},
    "color_jitter": {"brightness": 0.2, "contrast": 0.2, "saturation": 0.2, "hue": 0.02},
    "random_resized_crop": {"scale": [0.5, 1.0]},
    "random_erasing": {"probability": 0.5, "scale": [0.02, 0.2]},
    "noise": {"std": 0.05},
    "rand_augment": {"magnitude": 5},
    "pca_lighting": {"std": 0.1},
}
"""What hardly ever does harm; transforms that are not here can only be left out."""

QUARTER = 0.25
"""A crop of less than this share of an image is not compared with its middle, but the whole."""


@dataclass(frozen=True)
class Suspect:
    """One thing that is done at random.

    Args:
        place: of the transform in the list of training.
        name: of the transform.
        key: the parameter that does it; empty where it is the whole transform.
        value: of that parameter.
    """

    place: int
    name: str
    key: str = ""
    value: Any = None

    @property
    def what(self) -> str:
        """As it is written."""
        return f"{self.name}: {written_value({self.key: self.value})}" if self.key else self.name


def suspects_in(steps: Steps) -> Iterator[Suspect]:
    """Each thing that a list does at random."""
    for place, step in enumerate(steps):
        if not is_random(step):
            continue
        name = str(step["name"])
        parts = {key: step[key] for key in NOTHING.get(name, {}) if key in step}
        if not parts:
            yield Suspect(place, name)
        yield from (Suspect(place, name, key, value) for key, value in parts.items())


def without(views: TrainingViews, guilty: Collection[Suspect]) -> Steps:
    """The list of training without some of what it does; crops are taken from the middle."""
    found: list[Mapping[str, Any]] = []
    for place, step in enumerate(views.train_steps):
        here = [each for each in guilty if each.place == place]
        if not here:
            found.append(step)
        elif (keys := {each.key for each in here}) != {""}:
            left = {key: value for key, value in step.items() if key not in keys}
            found += [left] if set(left) & set(NOTHING[str(step["name"])]) else []
        else:
            found += _in_place_of(step, views.size_before(place))
    return found


def fixed(views: TrainingViews) -> Steps:
    """What training does to every image: nothing at random, no mixing, crops from the middle."""
    steps = without(views, list(suspects_in(views.train_steps)))
    return [step for step in steps if not is_mixing(step)]


def milder(views: TrainingViews, guilty: Collection[Suspect]) -> Steps:
    """The list of training with less of it, where that is known, and else without it."""
    steps, others = list(views.train_steps), []
    for each in guilty:
        step, mild = steps[each.place], MILD.get(each.name, {})
        less = {each.key: mild[each.key]} if each.key else mild
        if any(_is_more(step.get(key), value) for key, value in less.items()):
            steps[each.place] = {**step, **less}
        else:
            others.append(each)
    return without(replace(views, train_steps=steps), others)


def _is_more(own: Any, mild: Any) -> bool:
    """Whether a parameter does more than a mild one; one that is not given may."""
    if own is None:
        return True
    if isinstance(mild, list):
        return bool(own[0] < mild[0] or own[1] > mild[1])
    return bool(own > mild)


def _in_place_of(step: Mapping[str, Any], size: tuple[int, int]) -> list[Mapping[str, Any]]:
    """What is done in place of a random crop; of other transforms nothing."""
    if step["name"] not in ("random_crop", "random_resized_crop"):
        return [step] if TRANSFORMS.entry(str(step["name"])).options.get("sizing") else []
    height, width = as_pair(step["size"])
    is_inside = step["name"] == "random_crop" and height <= size[0] and width <= size[1]
    if is_inside and height * width >= QUARTER * size[0] * size[1]:
        return [] if (height, width) == size else [{"name": "center_crop", "size": [height, width]}]
    return [{"name": "resize", "size": [height, width]}]


def written(steps: Steps) -> str:
    """A list of transforms as it stands in a run file, in one line."""
    items: Sequence[Any] = [
        {step["name"]: rest} if (rest := {k: v for k, v in step.items() if k != "name"})
        else step["name"]
        for step in steps
    ]  # fmt: skip
    return written_value(items)


def written_value(value: Any) -> str:
    """Plain data as YAML in one line."""
    return dump_yaml(value, width=float("inf"), default_flow_style=True).strip()


def difference(steps: Steps, views: TrainingViews) -> str:
    """What training does to every image, `steps`, and evaluation does not, and the other way."""
    lists = {"training": steps, "evaluation": views.eval_steps}
    parts = []
    for one, other in (("training", "evaluation"), ("evaluation", "training")):
        only = [step for step in lists[one] if step not in lists[other]]
        if only:
            parts.append(f"{written(only)[1:-1]} in {one} only")
    return ", ".join(parts) or "in another order"


def unmixed(steps: Steps) -> tuple[str, ...]:
    """That what mixes images with each other is left out where the doctor teaches networks."""
    names = [str(step["name"]) for step in steps if is_mixing(step)]
    if not names:
        return ()
    return (
        f"what {' and '.join(names)} does to labels: mixed images have two, and the doctor's small "
        "network is taught without; `--check recipe` trains with it, `--check arithmetic` reckons "
        "how much is mixed",
    )
