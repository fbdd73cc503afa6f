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
from cnntrain.diagnose.number_lessons import judge_augmented_numbers
from cnntrain.diagnose.report import Finding, Plot, Report, Table, not_applicable
from cnntrain.diagnose.small_net import SmallNet
from cnntrain.diagnose.suspects import (
    Suspect,
    difference,
    fixed,
    milder,
    suspects_in,
    unmixed,
    without,
    written,
)
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

HALF = 0.5
"""Of what can be known: where more is left, it is some classes that look alike; where a network
knows less than that of its own kind of images once they are plain, it has never seen such."""

READ = 0.04
"""Two classes are named only where of either so many images are taken for the other one."""

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
    *, views: TrainingViews | None, class_names: Sequence[str], form: str = "classes", seed: int = 0
) -> Report:
    """Teach one small network plain images and another one augmented ones, and compare them.

    Args:
        views: some of the training images, prepared by any list of transforms; None where what is
            learnt are neither classes nor numbers.
        class_names: of the classes.
        form: of the targets.
        seed: of the small networks.
    """
    if views is None or views.targets.ndim > 1:
        return judge_augmented_numbers(views, form=form, names=class_names, seed=seed)
    has_suspects = any(map(is_random, views.train_steps))
    if not has_suspects and written(fixed(views)) == written(views.eval_steps):
        why = "training changes nothing at random, and prepares images as evaluation does"
        return not_applicable("augmentation", "; ".join([why, *unmixed(views.train_steps)]))
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
    if not seen.augmented_of_plain.is_worse_than(seen.best):
        return _report(seen, class_names)
    if finding := _prepared_otherwise(seen):
        return _report(seen, class_names, finding)
    lessons = seen.lessons
    longer = lessons.ask(lessons.teach(views.train_steps, times=LONGER), seen.images)
    if seen.plain.confusions.kappa < TELLS or not longer.is_worse_than(seen.plain):
        return _report(seen, class_names, longer=longer)
    return _report(seen, class_names, *_spoilt(seen, longer, class_names), longer=longer)


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
    names: Sequence[str],
    finding: Finding | None = None,
    *pictures: Plot,
    longer: Replies | None = None,
) -> Report:
    headline = (
        "a small network that learns images as training prepares them is right on "
        f"{seen.augmented_of_plain.accuracy:.0%} of others as evaluation prepares them, one that "
        f"learns these on {seen.plain.accuracy:.0%}"
    )
    if longer is not None:
        headline += f"; the first one, taught {LONGER} times as long, on {longer.accuracy:.0%}"
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
        unjudged=unmixed(seen.lessons.views.train_steps),
    )


def _prepared_otherwise(seen: _Seen) -> Finding | None:
    """Whether evaluation would do well if it prepared images as training does, chance left out."""
    views = seen.lessons.views
    steps = fixed(views)
    if any(is_random(step) for step in steps) or written(steps) == written(views.eval_steps):
        return None
    images = seen.lessons.prepared(steps)
    there = seen.lessons.ask(seen.augmented_net, images).accuracy
    here, best = seen.augmented_of_plain.accuracy, seen.best.accuracy
    if there < here + GAINED * (best - here):
        return None
    return Finding(
        "splits_differ",
        f"evaluation prepares images otherwise than training: {difference(steps, views)}",
        "a small network that learnt images as training prepares them is right on "
        f"{seen.augmented.accuracy:.0%} of others so prepared, on {here:.0%} as evaluation "
        f"prepares them, and on {there:.0%} where evaluation does what training does",
        "give data.transforms.eval what training does to every image, and the size at which "
        "training shows the objects",
        overrides=(f"data.transforms.eval={written(steps)}",),
    )


def _spoilt(seen: _Seen, longer: Replies, names: Sequence[str]) -> tuple[Finding, Plot]:
    """What spoils the images, though a network learns it `longer`."""
    lessons = seen.lessons
    views = lessons.views
    guilty = list(_guilty(seen))
    steps, after = _remedy(seen, guilty)
    only = without(views, [each for each in suspects_in(views.train_steps) if each not in guilty])
    treated = lessons.prepared(only)
    read = lessons.ask(seen.plain_net, treated)
    a, b = longer.confused_more_than(seen.plain)
    there, back = read.exchanged(a, b)
    pair = (names[a], names[b]) if min(there, back) >= READ else None
    headline, has_pair = _headline(seen, longer, guilty, pair)
    said = f"is right on {read.accuracy:.0%} of images so changed"
    if has_pair:
        said += f", and takes {there:.0%} of '{names[a]}' for '{names[b]}', "
        said += f"{back:.0%} of '{names[b]}' for '{names[a]}'"
    finding = Finding(
        "too_much_augmentation",
        headline,
        "a small network that learnt training images unchanged is right on "
        f"{seen.plain.accuracy:.0%} of others; one that learnt them augmented, {LONGER} times as "
        f"long, on {longer.accuracy:.0%}; the first one {said}",
        f"change data.transforms.train: without, or with less of it, the share is {after:.0%}",
        overrides=(f"data.transforms.train={written(steps)}",),
    )
    return finding, _picture(seen, treated, names)


def _headline(
    seen: _Seen, longer: Replies, guilty: Sequence[Suspect], pair: tuple[str, str] | None
) -> tuple[str, bool]:
    """What is wrong, and whether two classes say it."""
    what = " and ".join(f"`{each.what}`" for each in guilty)
    end = "" if len(guilty) > 1 else "s"
    of_plain, own = seen.augmented_of_plain.confusions, seen.augmented.confusions
    if of_plain.kappa < HALF * own.kappa:
        return f"{what} change{end} images so that none is as evaluation's are", False
    if pair is None:
        return f"{what} leave{end} too little to tell classes apart", False
    if longer.exchanges(*longer.confused_more_than(seen.plain)):
        return f"{what} make{end} '{pair[0]}' and '{pair[1]}' look alike", True
    if longer.confusions.kappa >= HALF * seen.plain.confusions.kappa:
        return f"{what} make{end} classes look alike, most of all '{pair[0]}' and '{pair[1]}'", True
    return f"{what} leave{end} too little to tell classes apart", False


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
