"""What makes two splits differ, where a small network knows one of them: see the check `splits`."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from cnntrain.diagnose.neighbours import Sample, places
from cnntrain.diagnose.report import Finding
from cnntrain.diagnose.small_net import Confusions, SmallNet
from cnntrain.diagnose.undone import undoing

OF_ONE_CLASS = 0.6
"""Share of a class's images that are taken for one other class if it is called so there."""

UNDONE = 0.5
"""Share of the difference that must go away where a change is undone for the change to be named."""

NEARLY_ALL = 0.75
"""The same for a change of the images: of what was done so 0.77 or more, of images that are other
ones in another way up to 0.75."""

EDGE, HIDDEN = 6, 0.15
"""A mark is searched for in this part of the height and the width, along each edge; without it the
share of right answers is so much lower."""


def renamed(theirs: Confusions, worse: Sequence[int]) -> dict[int, int]:
    """Classes of the other split most of whose images are taken for one other class.

    None, where these are less than half of the classes that are worse: something else is the cause.
    """
    found = {label: theirs.answered(label) for label in worse}
    most = {
        label: to for label, (to, share) in found.items() if to != label and share > OF_ONE_CLASS
    }
    return most if 2 * len(most) >= len(worse) else {}


def _gained(accuracy: float, own: Confusions, theirs: Confusions, share: float = UNDONE) -> bool:
    """Whether so many right answers explain so much of the difference between the splits."""
    return accuracy > theirs.accuracy + share * (own.accuracy - theirs.accuracy)


def out_of_step(
    net: SmallNet, own: Confusions, theirs: Confusions, other: Sample, evidence: str
) -> Finding | None:
    """Labels that stand some places away from their images."""
    for by, labels in other.moved.items():
        known = labels >= 0
        accuracy = net.judged(other.images[known], labels[known]).accuracy
        if _gained(accuracy, own, theirs):
            return Finding(
                "splits_differ",
                f"labels and images of {other.split} are out of step: moved {places(by)}, they fit",
                f"{evidence}; with the labels moved, on {accuracy:.0%}",
                "look at how images and labels are put together there: one of the two lists lacks "
                "an entry, or was sorted otherwise",
            )
    return None


def called_otherwise(
    instead: dict[int, int], split: str, names: Sequence[str], evidence: str
) -> Finding | None:
    """Classes that have each other's names; that several are taken for one means something else."""
    if len(instead) < 2 or len(set(instead.values())) < len(instead):
        return None
    pairs = [(a, b) for a, b in instead.items() if instead.get(b) == a and a < b]
    are_pairs = pairs and 2 * len(pairs) == len(instead)
    if are_pairs:
        said = ", ".join(f"'{names[a]}' and '{names[b]}'" for a, b in pairs[:3])
        headline = f"{said} are exchanged in the {split} images"
    else:
        first = list(instead.items())[:3]
        said = ", ".join(f"what is called '{names[a]}' is '{names[b]}'" for a, b in first)
        headline = f"the {split} images have the labels of other classes: {said}"
    return Finding(
        "splits_differ" if are_pairs else "labels_shifted",
        headline,
        evidence,
        f"look at the order of the classes in {split}, and at how images and labels are put "
        "together",
    )


def labels_of_another_kind(split: str, evidence: str) -> Finding:
    """What is left where images are of one kind, and not what they are called."""
    return Finding(
        "labels_noisy",
        f"the labels of the training images and those of the {split} images follow different rules",
        evidence,
        "look at both with `cnntrain data show`: their images are alike, so one split has wrong "
        "labels; who or what gave them?",
    )


def changed(
    net: SmallNet, own: Confusions, theirs: Confusions, other: Sample, evidence: str
) -> Finding | None:
    """The change of the images without which the network is right most often, if it explains."""
    tried = [
        (net.judged(undo(other.images), other.targets).accuracy, what)
        for what, undo in undoing(other.images)
    ]
    accuracy, what = max(tried, key=lambda one: one[0])
    if not _gained(accuracy, own, theirs, NEARLY_ALL):
        return None
    return Finding(
        "splits_differ",
        f"in comparison with the training images those of {other.split} {what}",
        f"{evidence}; with that undone, on {accuracy:.0%}",
        f"prepare both alike: look at how the files of {other.split} were written, and at "
        "`data.transforms`",
    )


def marked(  # what is compared
    net: SmallNet, own: Confusions, images: Tensor, targets: Tensor, split: str, evidence: str
) -> Finding | None:
    """Something in training images that gives their class away, and is not in the other split."""
    place = _telling_place(net, own, images, targets)
    if place is None:
        return None
    where, share = place
    return Finding(
        "splits_differ",
        f"something at the {where} of the training images gives their class away",
        f"{evidence}; with that part hidden, on {share:.0%} of the training images",
        "look there with `cnntrain data show`: a mark, a border, a caption, a background; crop it "
        f"off, or cover it in training and {split} alike",
    )


def _telling_place(
    net: SmallNet, own: Confusions, images: Tensor, targets: Tensor
) -> tuple[str, float] | None:
    """An edge of the images without which the network no longer knows their classes."""
    down, across = (-(-size // EDGE) for size in images.shape[2:])
    edges = {
        "top": (slice(None, down), slice(None)),
        "bottom": (slice(-down, None), slice(None)),
        "left": (slice(None), slice(None, across)),
        "right": (slice(None), slice(-across, None)),
    }
    mean = images.mean(dim=0)
    found: list[tuple[float, str]] = []
    for where, (rows, columns) in edges.items():
        hidden = images.clone()
        hidden[:, :, rows, columns] = mean[:, rows, columns]
        found.append((net.judged(hidden, targets).accuracy, where))
    least, where = min(found)
    return (where, least) if own.accuracy - least >= HIDDEN else None
