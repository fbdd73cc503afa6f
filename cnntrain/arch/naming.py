"""Layers that name another one: `tied: {to: encoder1}`, `unpool: {of: max_pool1}`.

A layer declared with the option `names` is given the layer that this parameter names: one above it
in the same list, as for `from`. With `reads_named` it also reads what that layer reads, after its
own input, so nothing is passed on beside the graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import nn

from cnntrain.arch.expand import Node
from cnntrain.arch.plan import PlannedNode
from cnntrain.core.errors import ConfigError
from cnntrain.core.problems import suggestion
from cnntrain.layers.named import Named


def named_by(node: Node, above: Sequence[PlannedNode]) -> PlannedNode | None:
    """The layer that a node names; None if it names none.

    Raises:
        ConfigError: at its line: no single layer above is called so.
    """
    if node.named is None or node.entry is None:
        return None
    found = next((each for each in above if each.name == node.named), None)
    if found is not None and found.node.entry is not None:
        return found
    parameter = node.entry.options["names"]
    message = f"'{parameter}' names '{node.named}', but no layer above in this list is called so"
    remedy = suggestion(node.named, [each.name for each in above if each.node.entry is not None])
    if found is not None:
        message = f"'{parameter}' names '{node.named}', which is not one layer, but several"
        remedy = "put the layer that is meant, and this one, into the same list"
    path = (*node.path, node.operation, parameter)
    raise ConfigError.of([node.reader.problem(path, message, remedy)])


def also_reading(node: Node, named: PlannedNode) -> Node:
    """The node with all that it reads."""
    if node.entry is None or not node.entry.options.get("reads_named"):
        return node
    return replace(node, sources=(*node.sources, named.node.sources[0]))


def named_as(above: PlannedNode, module: nn.Module) -> Named:
    """What a layer is given of the one that it names."""
    return Named(module, above.in_shapes[0], above.out_shape)
