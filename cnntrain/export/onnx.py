"""The network as an ONNX file, compared with the network in onnxruntime."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from cnntrain.assemble.transfer.about import INPUT, KEY
from cnntrain.core.errors import UsageError
from cnntrain.core.units import byte_size
from cnntrain.export.program import first_line, without_chatter
from cnntrain.export.reference import Reference, write_compared

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read where onnxruntime is first imported

Forward = Callable[[Tensor], Tensor]

_LARGEST = 2**31 - 2**20
"""Bytes of one ONNX file (protobuf's bound), some left for the graph."""


def require_packages() -> None:
    """Refuse to go on where a package that ONNX needs is not installed."""
    for name in PACKAGES:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise UsageError(
                f"ONNX needs the package {name}, which is not installed",
                remedy="pip install 'cnntrain[export]'",
            ) from error


def save_onnx(
    program: ExportedProgram,
    path: Path,
    *,
    text: str,
    output: str,
    reference: Reference,
    weights: int,
    finish: Callable[[Any], Any] | None = None,
    judge: Callable[[Forward], None] | None = None,
) -> float:
    """Write an ONNX file; see `write_compared`.

    Args:
        program: the network.
        path: the file.
        text: of the metadata property `cnntrain`.
        output: the name of what it gives.
        reference: what it is compared with.
        weights: bytes of the network's weights.
        finish: makes the file's ONNX model of the network's.
        judge: is given the file once it is compared, before it takes its name.

    Raises:
        UsageError: the network is too large, or ONNX lacks one of its operations.
        CnntrainError: what was written gives other outputs in onnxruntime on the CPU.
    """
    if weights > _LARGEST:
        raise UsageError(
            f"the weights take {byte_size(weights)}, and an ONNX file at most 2.1 GB",
            remedy="use --to torch_export or safetensors",
        )
    model = _convert(program, output)
    if finish is not None:
        model = finish(model)
    importlib.import_module("onnx.helper").set_model_props(model, {KEY: text})
    content: bytes = model.SerializeToString()

    def compare(temporary: Path) -> float:
        forward = _session(temporary)
        difference = reference.check(forward, what="the ONNX graph")
        if judge is not None:
            judge(forward)
        return difference

    return write_compared(path, content, compare)


def _convert(program: ExportedProgram, output: str) -> Any:
    with without_chatter():
        try:
            converted = torch.onnx.export(
                program,
                input_names=[INPUT],
                output_names=[output],
                dynamic_shapes={INPUT: {0: "N"}},
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            raise UsageError(
                f"ONNX cannot say what the network computes: {_reason(error)}",
                remedy="use --to torch_export or safetensors",
            ) from error
    assert converted is not None
    return converted.model_proto


def _reason(error: BaseException) -> str:
    """The innermost cause, in its first line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return first_line(error)


def _session(path: Path) -> Forward:
    """An ONNX file as a function of images."""
    runtime: Any = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors only
    try:
        session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own kinds, for a graph that it lacks a kernel of
        message = f"onnxruntime cannot run the file: {first_line(error)}"
        raise UsageError(message, remedy="use --precision float32, or --to torch_export") from error
    [given] = session.get_inputs()

    def forward(images: Tensor) -> Tensor:
        [outputs] = session.run(None, {given.name: images.numpy()})
        return torch.from_numpy(outputs)

    return forward
