"""What an ONNX file does itself, around the network: preparing images, and probabilities."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cnntrain.assemble.transfer.about import INPUT, OUTPUT, PIXELS, PROBABILITIES
from cnntrain.show.whitening import from_text


def with_preprocessing(
    net: Any, steps: Sequence[Mapping[str, Any]], *, in_shape: tuple[int, int, int], any_size: bool
) -> Any:
    """The ONNX model `net` behind its preprocessing: from `(N, H, W, C)` uint8.

    Resizing is that of Pillow, but for a rounding of 8-bit values (opset 18's `antialias`, with
    weights outside of the image excluded), and in bicubic resizing for values that are clipped
    between the directions: rows are always resized first here, columns by Pillow where these shrink
    much more. A crop that is larger than the image fails at run time.

    Args:
        net: an ONNX model of `(N, C, H, W)` float32.
        steps: see `cnntrain.assemble.transfer.about.explicit_steps`; none of a plugin.
        in_shape: (C, H, W) that the network reads.
        any_size: whether images of all sizes become those; if not, they have that size.
    """
    channels, height, width = in_shape
    given = "H, W" if any_size else f"{height}, {width}"
    body = [f"x0 = Transpose <perm = [0, 3, 1, 2]> ({PIXELS})"]
    for number, step in enumerate(steps):
        body += _operations(step, f"x{number}", f"x{number + 1}")
    body.append(f"whole = {_ints(0, channels, height, width)}")
    body.append(f"prepared = Reshape (x{len(steps)}, whole)")
    shape = f"N, {channels}, {height}, {width}"
    header = f"prepare (uint8[N, {given}, {channels}] {PIXELS}) => (float[{shape}] prepared)"
    before = _parsed(net, header, body)
    return _compose().merge_models(before, net, io_map=[("prepared", INPUT)])


def with_probabilities(net: Any, *, temperature: float, classes: int) -> Any:
    """The ONNX model `net`, followed by `softmax(logits / temperature)`."""
    body = [
        f"temperature = {_floats([temperature], (1, 1))}",
        "divided = Div (scores, temperature)",
        f"{PROBABILITIES} = Softmax <axis = 1> (divided)",
    ]
    header = f"answer (float[N, {classes}] scores) => (float[N, {classes}] {PROBABILITIES})"
    after = _parsed(net, header, body)
    return _compose().merge_models(net, after, io_map=[(OUTPUT, "scores")])


def _operations(step: Mapping[str, Any], x: str, y: str) -> Iterator[str]:
    """One step, from the tensor `x` to `y`, in ONNX's text."""
    match step:
        case {"name": "resize", "interpolation": "bilinear" | "bicubic" as kind, **sides}:
            yield f"{x}_count = Shape <start = 0, end = 2> ({x})"
            if "shortest_edge" in sides:
                yield f"{x}_edge = {_ints(sides['shortest_edge'])}"
                yield f"{x}_sides = Shape <start = 2, end = 4> ({x})"
                yield f"{x}_shorter = ReduceMin <keepdims = 1> ({x}_sides)"
                yield f"{x}_product = Mul ({x}_sides, {x}_edge)"
                yield f"{x}_size = Div ({x}_product, {x}_shorter)"
            else:
                yield f"{x}_size = {_ints(sides['height'], sides['width'])}"
            yield f"{x}_shape = Concat <axis = 0> ({x}_count, {x}_size)"
            mode = '"cubic", cubic_coeff_a = -0.5' if kind == "bicubic" else '"linear"'
            how = f"antialias = 1, exclude_outside = 1, mode = {mode}"
            yield f"{y} = Resize <{how}> ({x}, , , {x}_shape)"
        case {"name": "center_crop", "height": height, "width": width}:
            yield f"{x}_crop = {_ints(height, width)}"
            yield f"{x}_axes = {_ints(2, 3)}"
            yield f"{x}_half = {_floats([0.5], (1,))}"
            yield f"{x}_sides = Shape <start = 2, end = 4> ({x})"
            yield f"{x}_margin = Sub ({x}_sides, {x}_crop)"
            yield f"{x}_border = Cast <to = 1> ({x}_margin)"
            yield f"{x}_middle = Mul ({x}_border, {x}_half)"
            yield f"{x}_rounded = Round ({x}_middle)"  # halves to even, as Python's round
            yield f"{x}_start = Cast <to = 7> ({x}_rounded)"
            yield f"{x}_end = Add ({x}_start, {x}_crop)"
            yield f"{y} = Slice ({x}, {x}_start, {x}_end, {x}_axes)"
        case {"name": "rescale", "factor": factor}:
            yield f"{x}_factor = {_floats([factor], (1,))}"
            yield f"{x}_float = Cast <to = 1> ({x})"
            yield f"{y} = Mul ({x}_float, {x}_factor)"
        case {"name": "normalize", "mean": mean, "std": std}:
            yield f"{x}_mean = {_floats(mean, (len(mean), 1, 1))}"
            yield f"{x}_std = {_floats(std, (len(std), 1, 1))}"
            yield f"{x}_centred = Sub ({x}, {x}_mean)"
            yield f"{y} = Div ({x}_centred, {x}_std)"
        case {"name": "zca", "learnt": learnt}:
            whitening = from_text(learnt)
            values = len(whitening.mean)
            yield f"{x}_mean = {_floats(whitening.mean.tolist(), (values,))}"
            matrix = whitening.matrix.flatten().tolist()
            yield f"{x}_matrix = {_floats(matrix, (values, values))}"
            yield f"{x}_rows = Flatten ({x})"
            yield f"{x}_centred = Sub ({x}_rows, {x}_mean)"
            yield f"{y} = MatMul ({x}_centred, {x}_matrix)"  # `prepared` has the shape again
        case _:
            raise AssertionError(step)


def _parsed(net: Any, header: str, body: Sequence[str]) -> Any:
    """An ONNX model of the versions of `net`."""
    parser = importlib.import_module("onnx.parser")
    opsets = ", ".join(f'"{each.domain}" : {each.version}' for each in net.opset_import)
    versions = f"<ir_version: {net.ir_version}, opset_import: [{opsets}]>"
    return parser.parse_model("\n".join([versions, header, "{", *body, "}"]))


def _compose() -> Any:
    return importlib.import_module("onnx.compose")


def _ints(*numbers: int) -> str:
    return f"Constant <value_ints = [{', '.join(map(str, numbers))}]> ()"


def _floats(numbers: Sequence[float], shape: Sequence[int]) -> str:
    values = ", ".join(f"{float(number):.9e}" for number in numbers)
    return f"Constant <value = float[{', '.join(map(str, shape))}] {{{values}}}> ()"
