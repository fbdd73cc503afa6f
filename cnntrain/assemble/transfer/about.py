"""What an exported file says of itself: classes, preprocessing, input and output, as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch

from cnntrain.core.kinds import Bits
from cnntrain.core.version import __version__
from cnntrain.record.json_text import json_text
from cnntrain.tasks.targets import Targets

KEY = "cnntrain"
"""Under this name the JSON stands in a file's metadata."""

INPUT, OUTPUT = "images", "logits"
"""Names of the exported network's input, and of its output where there are classes."""

PIXELS, PROBABILITIES = "pixels", "probabilities"
"""Names of a file's input and output where preprocessing and softmax are inside."""

Included = Literal["preprocessing", "probabilities"]
FilePrecision = Literal["float32", "float16", "int8"]

_SIZING = ("resize", "center_crop")


def describe(  # noqa: PLR0913  # one keyword for each thing that the file says
    *,
    name: str,
    epoch: int,
    targets: Targets,
    in_shape: tuple[int, int, int],
    out_shape: tuple[int, ...],
    preprocessing: Sequence[Mapping[str, Any]],
    temperature: float = 1.0,
    bits: Bits = "auto",
    include: Sequence[Included] = (),
    precision: FilePrecision = "float32",
    output: str = OUTPUT,
    answers: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A description from which the network can be used without cnntrain.

    Args:
        name: of the run.
        epoch: after which the weights are; 0 where it is unknown.
        targets: what the network learnt; their names are those of the outputs, in their order.
        in_shape: (C, H, W) of the images.
        out_shape: of what the network gives for one.
        preprocessing: see `explicit_steps`.
        temperature: probabilities are `softmax(logits / temperature)`; said where it is not 1.
        bits: of 16-bit images, whose values are read as `value >> (bits - 8)`.
        include: what the file does itself, and its reader need not do.
        precision: of its weights and sums, said where it is not float32; input and output are.
        output: its name.
        answers: what the outputs mean, as the task says it.
    """
    calibrated = {} if temperature == 1.0 else {"temperature": temperature}
    steps = list(preprocessing)
    given = {"name": INPUT, "shape": ["N", *in_shape], "layout": "NCHW", "type": "float32"}
    shape, plain = ["N", *out_shape], targets.as_plain()
    given_back = {"name": output, "shape": shape, **calibrated, **(answers or {})}
    inside: dict[str, Any] = {}
    if "preprocessing" in include:
        channels, *size = in_shape
        sides = ["H", "W"] if has_any_size(steps) else size
        given = {"name": PIXELS, "shape": ["N", *sides, channels], "layout": "NHWC"}
        given["type"] = "uint8"
        inside["preprocessing"], steps = steps, []
    if "probabilities" in include:
        given_back = {"name": PROBABILITIES, "shape": shape}
        inside["probabilities"] = {"temperature": temperature}
    mode = {1: "L", 3: "RGB"}.get(in_shape[0])
    return {
        "name": name,
        "epoch": epoch or None,
        targets.form: list(targets.names),
        **({} if targets.form == "classes" else {"targets": plain}),
        "input": {**given, "mode": mode, "bits": 16 if bits == "auto" else bits},
        "preprocessing": steps,
        "output": given_back,
        **({"inside": inside} if inside else {}),
        **({} if precision == "float32" else {"precision": precision}),
        "versions": {"cnntrain": __version__, "torch": str(torch.__version__)},
    }


def explicit_steps(
    steps: Sequence[Mapping[str, Any]], *, sizing: int
) -> tuple[dict[str, Any], ...]:
    """The evaluation transforms with everything said that cnntrain takes for granted.

    Args:
        steps: the transforms as plain data, all parameters resolved.
        sizing: how many of them, at the start, change sizes and see 8-bit pixels.
    """
    explicit = [_explicit(step) for step in steps]
    rescale = {"name": "rescale", "factor": 1 / 255}
    return (*explicit[:sizing], rescale, *explicit[sizing:])


def has_any_size(explicit: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the steps take images of other sizes than the network's."""
    return any(step["name"] in _SIZING for step in explicit)


def undescribed(explicit: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The steps that other programs cannot do by their description: those of plugins."""
    known = (*_SIZING, "rescale", "normalize", "zca")
    return tuple(step["name"] for step in explicit if step["name"] not in known)


def plain_steps(explicit: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], ...]:
    """The evaluation transforms again, from what `explicit_steps` made of them."""
    return tuple(_plain(step) for step in explicit if step["name"] != "rescale")


def as_text(about: Mapping[str, Any]) -> str:
    """The description as one line of JSON."""
    return json_text(about)


def _explicit(step: Mapping[str, Any]) -> dict[str, Any]:
    """One transform; those of plugins as they are."""
    name = step["name"]
    if name not in _SIZING:
        return dict(step)
    size = step["size"]
    if isinstance(size, int):
        sides = {"shortest_edge": size} if name == "resize" else {"height": size, "width": size}
    else:
        sides = dict(zip(("height", "width"), size, strict=True))
    if name != "resize":
        return {"name": name, **sides}
    how = step.get("interpolation", "bilinear")
    return {"name": name, **sides, "interpolation": how, "antialias": True}


def _plain(step: Mapping[str, Any]) -> dict[str, Any]:
    if step["name"] not in _SIZING:
        return dict(step)
    size = step["shortest_edge"] if "shortest_edge" in step else [step["height"], step["width"]]
    how = {key: step[key] for key in ("interpolation",) if key in step}
    return {"name": step["name"], "size": size, **how}
