"""Parallel paths."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import Literal

import torch
from torch import Tensor, nn

from cnntrain.layers import layer
from cnntrain.layers.shapes import require_joinable, shape_out, shows


@layer("branches", affine="plain")
class Branches(nn.Module):
    """Parallel paths over the same input, joined.

    The inception module is four paths and merge 'concat': Szegedy et al., "Going Deeper with
    Convolutions", 2014, figure 2.

    Shape: (N, ...) -> the paths' outputs, concatenated along the channels in the order in which
    they are written, or added.

    Args:
        paths: named lists of layers that all read the input.
        merge: 'concat' along the channels (heights and widths must agree), or 'add' (shapes must).

    Raises:
        ValueError: there is no path, a name cannot be used, or the outputs do not fit together.
    """

    def __init__(
        self, *, paths: dict[str, nn.Module], merge: Literal["concat", "add"] = "concat"
    ) -> None:
        super().__init__()
        if not paths:
            raise ValueError("branches: there is no path; write at least one under `paths:`")
        for name in paths:
            if not name or "." in name or hasattr(nn.ModuleDict(), name):
                raise ValueError(
                    f"branches: a path cannot be called '{name}', which torch uses itself; "
                    f"use another name, such as 'path_{name.replace('.', '_')}'"
                )
        shapes = [(name, shape_out(path)) for name, path in paths.items()]
        require_joinable("branches: the paths", shapes, merge)
        self.paths = nn.ModuleDict(paths)
        self.merge = merge

    def forward(self, x: Tensor) -> Tensor:
        """(N, ...) -> the joined outputs."""
        outputs: list[Tensor] = [path(x) for path in self.paths.values()]
        return torch.cat(outputs, dim=1) if self.merge == "concat" else reduce(add, outputs)

    extra_repr = shows("merge")
