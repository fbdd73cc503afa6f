"""JSON as the standard has it, for numbers that may not be finite and names that may be hostile."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from cnntrain.core.escapes import in_json


def json_text(value: object, *, indent: int | None = None, only_ascii: bool = False) -> str:
    """JSON as the standard has it: NaN and infinities, which it lacks, become null."""
    text = json.dumps(_finite(value), indent=indent, ensure_ascii=only_ascii, allow_nan=False)
    return in_json(text)


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
