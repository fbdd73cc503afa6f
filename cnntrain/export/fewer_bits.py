"""ONNX files in fewer bits: float16, and int8 by static quantization."""

from __future__ import annotations

import importlib
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cnntrain.assemble.transfer.about import INPUT
from cnntrain.core.errors import UsageError
from cnntrain.export.program import first_line, without_chatter
from cnntrain.model.images import SplitImages

CALIBRATION = 128
"""Images from which the ranges of the activations are taken, at most."""

_REMEDY = "use --precision float32, which has all layers"


def to_float16(net: Any) -> Any:
    """The ONNX model with weights and sums in float16; input and output stay float32.

    Raises:
        UsageError: a layer cannot be converted.
    """
    float16 = importlib.import_module("onnxruntime.transformers.float16")
    onnx_model = importlib.import_module("onnxruntime.quantization.onnx_model")
    with without_chatter(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of weights that float16 rounds to 0 or to its largest
        try:
            half = float16.convert_float_to_float16(net, keep_io_types=True)
            ordered = onnx_model.ONNXModel(half)
            ordered.topological_sort()  # the converter appends its casts
            return ordered.model
        except Exception as error:  # whatever the converter does with an exotic layer
            raise UsageError(
                f"the network cannot be converted to float16: {first_line(error)}", remedy=_REMEDY
            ) from error


def to_int8(net: Any, images: SplitImages) -> Any:
    """The ONNX model with weights and activations of 8 bits (QDQ; one scale per channel).

    Scales of the activations are those of the smallest and the largest value on the images
    (Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-
    Only Inference", 2018, section 3); float32 in, float32 out.

    Raises:
        UsageError: a layer cannot be quantized.
        DataError: an image is unreadable.
    """
    quantization = importlib.import_module("onnxruntime.quantization")
    with tempfile.TemporaryDirectory() as folder, images.opened() as loader:
        batches = (batch.images.float().cpu().contiguous().numpy() for batch in loader.batches(0))
        prepared = [part for batch in batches for part in np.array_split(batch, len(batch))]
        path = Path(folder, "int8.onnx")
        with without_chatter():
            try:
                quantization.quantize_static(
                    net,
                    path,
                    _Reader(iter(prepared)),
                    quant_format=quantization.QuantFormat.QDQ,
                    per_channel=True,
                    activation_type=quantization.QuantType.QInt8,
                    weight_type=quantization.QuantType.QInt8,
                )
            except Exception as error:  # whatever the quantizer does with an exotic layer
                raise UsageError(
                    f"the network cannot be quantized to int8: {first_line(error)}", remedy=_REMEDY
                ) from error
        return importlib.import_module("onnx").load(path)


@dataclass(frozen=True)
class _Reader:
    """What onnxruntime asks for images, one `(1, C, H, W)` at a time."""

    images: Iterator[np.ndarray]

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next image, None after the last."""
        image = next(self.images, None)
        return None if image is None else {INPUT: image}
