"""How accurate others have found a shipped architecture, with published weights or in its paper."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cnntrain.arch.plan import Plan
from cnntrain.assemble.transfer.name_maps import arch_for
from cnntrain.assemble.transfer.torchvision_weights import known_models, published_for
from cnntrain.config import shipped
from cnntrain.config.arch_header import read_header


@dataclass(frozen=True)
class Accuracy:
    """A published accuracy.

    Args:
        top1: share of the test images that is right.
        test_set: which images these are, such as ImageNet.
        source: the weights of torchvision, such as resnet50/IMAGENET1K_V2, or `paper`.
    """

    top1: float
    test_set: str
    source: str


def published_accuracy(plan: Plan) -> Accuracy | None:
    """Of a network that is a shipped architecture, for the images and classes it is made for.

    With the best of torchvision's weights, where they were scored; else what the header says that
    the paper reached. None where neither is known, and for networks that were changed.
    """
    name = _shipped_name(plan)
    if name is None:
        return None
    header = read_header(shipped.files(among="archs/")[name])
    image = (header.channels, header.size, header.size)
    facts = plan.description.facts
    made_for = (header.parameters, header.multiply_adds, header.classes)
    if image != plan.body.in_shape or made_for != (
        plan.parameters,
        plan.multiply_adds,
        facts.num_classes,
    ):
        return None
    if header.weights.startswith("torchvision_"):
        models = [model for model in known_models() if arch_for(model) == name]
        weights = [each for model in models for each in published_for(model)]
        scored = [Accuracy(each.top1, "ImageNet", each.name) for each in weights if each.top1]
        if scored:
            return max(scored, key=lambda each: each.top1)
    return None if header.top1 is None else Accuracy(header.top1, header.test_set, "paper")


def _shipped_name(plan: Plan) -> str | None:
    """`archs/NAME` where the layers of the network stand in that file."""
    document = plan.description.reader.document
    root = ("arch",) if "arch" in document.data else ()
    place = document.places.of((*root, "layers"))
    folder, file = shipped.folder(), None if place is None else Path(place.file)
    if folder is None or file is None or file.parent.resolve() != (folder / "archs").resolve():
        return None
    return f"archs/{file.stem}"
