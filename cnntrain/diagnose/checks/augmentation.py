"""Check `augmentation`: does what training does to images leave them of their class?

One small network of the doctor's own learns training images as evaluation prepares them, another
the same images as training does. Both are asked about others. Strong augmentation makes a short
training a little worse, and a longer one better; what carries one class into another, or leaves
nothing of it, makes any training worse, and so does evaluation that shows another kind of images.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cnntrain.diagnose import check
from cnntrain.diagnose.drawing import compared_images
from cnntrain.diagnose.lessons import Lessons, Replies
from cnntrain.diagnose.report import Finding, Plot, Report, Table, not_applicable
from cnntrain.diagnose.small_net import SmallNet
from cnntrain.diagnose.suspects import Suspect, milder, suspects_in, without, written
from cnntrain.diagnose.training_views import Steps, TrainingViews, is_random

TELLS = 0.3
"""From guessing (0) to always right (1): what a network must reach to judge anything."""

LEAST, ENOUGH = 40, 20
"""Images to ask about, and training images of a class; rarer classes are left out."""

GAINED = 0.5
"""Share of what is lost that evaluation prepared as training must bring back to be the remedy."""

LONGER = 2
"""So many times as long a network is taught before its augmentation is accused."""

TRIED = 3
"""Suspects at the most that are tried alone, those that are hardest to read."""

PART = 0.33
"""What spoils this share of what the worst one does is named with it."""


@dataclass(frozen=True)
class _Seen:
    """What both networks say: of images prepared as by evaluation (plain), and as by training."""

    lessons: Lessons
    plain_net: SmallNet
    images: Tensor
    plain: Replies
    plain_of_augmented: Replies
    augmented_net: SmallNet
    augmented_of_plain: Replies
    augmented: Replies

    @property
    def best(self) -> Replies:
        """What can be known."""
        both = (self.plain, self.augmented)
        return max(both, key=lambda answers: answers.confusions.kappa)


@check("augmentation", place=0.7)
def check_augmentation(
    *, views: TrainingViews | None, class_names: Sequence[str], seed: int = 0
) -> Report:
    """Teach one small network plain images and another one augmented ones, and compare them.

    Args:
        views: some of the training images, prepared by any list of transforms; None where what is
            learnt are not classes.
        class_names: of the classes.
        seed: of the small networks.
    """
    if views is None:
        return not_applicable("augmentation", "what is learnt are not classes: it is not judged")
    random = [str(step["name"]) for step in views.train_steps if is_random(step)]
    if not random and written(views.train_steps) == written(views.eval_steps):
        why = "training changes nothing at random, and prepares images as evaluation does"
        return not_applicable("augmentation", why)
    classes = len(class_names)
    counts = torch.bincount(views.targets, minlength=classes)
    if int(counts[counts >= ENOUGH].sum()) * 0.3 < LEAST or int((counts >= ENOUGH).sum()) < 2:
        return not_applicable("augmentation", "there are too few images of a class to judge it")
    seen = _seen(Lessons(views, classes=classes, least=ENOUGH, seed=seed))
    if seen.best.confusions.kappa < TELLS:
        why = (
            f"a small network is right on {seen.plain.accuracy:.0%} of images that it has not "
            f"learnt, on augmented ones on {seen.augmented.accuracy:.0%}: too few to judge "
            "augmentation by it"
        )
        return not_applicable("augmentation", why)
    finding: Finding | None = None
    pictures: tuple[Plot, ...] = ()
    if seen.augmented_of_plain.is_worse_than(seen.best):
        finding = _prepared_otherwise(seen)
        if finding is None:
            finding, pictures = _spoilt(seen, class_names)
    return _report(seen, finding, pictures, class_names, is_random=bool(random))


def _seen(lessons: Lessons) -> _Seen:
    train_steps, eval_steps = lessons.views.train_steps, lessons.views.eval_steps
    images, augmented = lessons.prepared(eval_steps), lessons.prepared(train_steps)
    one, other = lessons.teach(eval_steps), lessons.teach(train_steps)
    return _Seen(
        lessons,
        one,
        images,
        lessons.ask(one, images),
        lessons.ask(one, augmented),
        other,
        lessons.ask(other, images),
        lessons.ask(other, augmented),
    )


def _report(
    seen: _Seen,
    finding: Finding | None,
    pictures: tuple[Plot, ...],
    names: Sequence[str],
    *,
    is_random: bool,
) -> Report:
    what = "augmented images" if is_random else "images as training prepares them"
    headline = (
        f"a small network that learns {what} is right on {seen.augmented_of_plain.accuracy:.0%} of "
        "others as evaluation prepares them, one that learns these on "
        f"{seen.plain.accuracy:.0%}"
    )
    rows = (
        ("as evaluation does", seen.plain.accuracy, seen.plain_of_augmented.accuracy),
        ("as training does", seen.augmented_of_plain.accuracy, seen.augmented.accuracy),
    )
    columns = ("learnt images prepared", "asked: as evaluation does", "as training does")
    by_class = tuple(
        (
            name,
            seen.plain.confusions.recall(label),
            seen.augmented_of_plain.confusions.recall(label),
        )
        for label, name in enumerate(names)
    )
    return Report(
        "augmentation",
        headline if finding is None else finding.headline,
        () if finding is None else (finding,),
        numbers={
            "plain": seen.plain.accuracy,
            "augmented": seen.augmented_of_plain.accuracy,
            "plain_asked_augmented": seen.plain_of_augmented.accuracy,
            "augmented_asked_augmented": seen.augmented.accuracy,
        },
        tables=(
            Table("share of right answers of two small networks", columns, rows),
            Table(
                "by class, asked as evaluation does",
                ("class", "learnt as evaluation does", "as training does"),
                by_class,
            ),
        ),
        pictures=pictures,
    )


def _prepared_otherwise(seen: _Seen) -> Finding | None:
    """Whether evaluation would do well if it prepared images as training does, chance left out."""
    views = seen.lessons.views
    steps = without(views, list(suspects_in(views.train_steps)))
    if any(is_random(step) for step in steps) or written(steps) == written(views.eval_steps):
        return None
    images = seen.lessons.prepared(steps)
    there = seen.lessons.ask(seen.augmented_net, images).accuracy
    here, best = seen.augmented_of_plain.accuracy, seen.best.accuracy
    if there < here + GAINED * (best - here):
        return None
    return Finding(
        "splits_differ",
        f"evaluation prepares images otherwise than training: {_difference(steps, views)}",
        "a small network that learnt images as training prepares them is right on "
        f"{seen.augmented.accuracy:.0%} of others so prepared, on {here:.0%} as evaluation "
        f"prepares them, and on {there:.0%} where evaluation does what training does",
        "give data.transforms.eval what training does to every image, and the size at which "
        "training shows the objects",
        overrides=(f"data.transforms.eval={written(steps)}",),
    )


def _difference(steps: Steps, views: TrainingViews) -> str:
    """What one of both lists does and the other one does not."""
    lists = {"training": steps, "evaluation": views.eval_steps}
    parts = []
    for one, other in (("training", "evaluation"), ("evaluation", "training")):
        only = [step for step in lists[one] if step not in lists[other]]
        if only:
            parts.append(f"{written(only)[1:-1]} in {one} only")
    return ", ".join(parts) or "in another order"


def _spoilt(seen: _Seen, names: Sequence[str]) -> tuple[Finding | None, tuple[Plot, ...]]:
    """What augmentation spoils the images, if a longer training does not make up for it."""
    lessons = seen.lessons
    views = lessons.views
    longer = lessons.ask(lessons.teach(views.train_steps, times=LONGER), seen.images)
    if seen.plain.confusions.kappa < TELLS or not longer.is_worse_than(seen.plain):
        return None, ()
    guilty = list(_guilty(seen))
    steps, after = _remedy(seen, guilty)
    only = without(views, [each for each in suspects_in(views.train_steps) if each not in guilty])
    treated = lessons.prepared(only)
    read = lessons.ask(seen.plain_net, treated)
    a, b = longer.confused_more_than(seen.plain)
    there, back = read.exchanged(a, b)
    is_exchange = longer.exchanges(a, b)
    what = " and ".join(f"`{each.what}`" for each in guilty)
    plural = len(guilty) > 1
    headline = f"{what} leave{'' if plural else 's'} too little to tell classes apart"
    said = f"is right on {read.accuracy:.0%} of images so changed"
    if is_exchange:
        headline = f"{what} make{'' if plural else 's'} '{names[a]}' and '{names[b]}' look alike"
        said = (
            f"takes {there:.0%} of '{names[a]}' so changed for '{names[b]}', and {back:.0%} of "
            f"'{names[b]}' for '{names[a]}'"
        )
    finding = Finding(
        "too_much_augmentation",
        headline,
        "a small network that learnt training images unchanged is right on "
        f"{seen.plain.accuracy:.0%} of others; one that learnt them augmented, {LONGER} times as "
        f"long, on {longer.accuracy:.0%}; the first one {said}",
        f"change data.transforms.train: without, or with less of it, the share is {after:.0%}",
        overrides=(f"data.transforms.train={written(steps)}",),
    )
    return finding, (_picture(seen, treated, names),)


def _guilty(seen: _Seen) -> Iterator[Suspect]:
    """Those that make it worse alone, or else all that are hard to read."""
    lessons, views = seen.lessons, seen.lessons.views
    every = list(suspects_in(views.train_steps))
    ranked = []
    for suspect in every:
        only = without(views, [other for other in every if other != suspect])
        read = lessons.ask(seen.plain_net, lessons.prepared(only))
        if read.is_worse_than(seen.plain):
            ranked.append((read.confusions.kappa, every.index(suspect), only))
    ranked = sorted(ranked, key=lambda one: one[:2])[:TRIED]
    if len(ranked) < 2:
        yield from [every[place] for _, place, _ in ranked] or every
        return
    known = [lessons.ask(lessons.teach(only), seen.images) for _, _, only in ranked]
    lost = [seen.plain.accuracy - replies.accuracy for replies in known]
    for (_, place, _), replies, share in zip(ranked, known, lost, strict=True):
        is_bad = replies.is_worse_than(seen.plain) and share >= PART * max(lost)
        if is_bad or not any(one.is_worse_than(seen.plain) for one in known):
            yield every[place]


def _remedy(seen: _Seen, guilty: Sequence[Suspect]) -> tuple[Steps, float]:
    """Less of it where that is as good as none of it, and the share of right answers then."""
    lessons, views = seen.lessons, seen.lessons.views
    less, none = milder(views, guilty), without(views, guilty)
    answers = lessons.ask(lessons.teach(less), seen.images)
    if written(less) != written(none) and answers.is_worse_than(seen.plain):
        answers, less = lessons.ask(lessons.teach(none), seen.images), none
    return less, answers.accuracy


def _picture(seen: _Seen, treated: Tensor, names: Sequence[str]) -> Plot:
    """The images that a network reads right, and most surely wrong once they are changed."""
    targets, before = seen.lessons.targets, seen.plain.given
    shares = seen.plain_net.shares(treated)
    sure, after = shares.max(dim=1)
    wrong = ((before == targets) & (after != targets)).nonzero().flatten()
    chosen = wrong[sure[wrong].argsort(descending=True, stable=True)]
    title = "images, and what augmentation makes of them (taken for)"
    return Plot(title, compared_images(
        seen.images[chosen], treated[chosen], (targets[chosen], after[chosen]), names))  # fmt: skip
