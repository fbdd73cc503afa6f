"""A plan as rows: one for each layer, block, path and head, with shares; and as data for JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from cnntrain.arch.activation_memory import FLOAT32, activation_bytes
from cnntrain.arch.network import Shape
from cnntrain.arch.plan import Plan, PlannedList, PlannedNode
from cnntrain.arch.receptive import Axis, Field
from cnntrain.arch.trainable import Learning, Share, joined, shares, standing_still

Kind = Literal["layer", "block", "path", "head"]
Pair = tuple[int, int]


@dataclass(frozen=True)
class Row:
    """One layer, block of layers, path of a layer with several lists, or auxiliary head.

    Counts include what is inside; shares are of the whole network's. Pairs are (height, width).

    Args:
        name: dotted, as the parameters are named.
        operation: the registered layer or the block; `own` for modules that a layer makes besides
            the lists in it, such as a residual's projection; `path` and `head`.
        kind: only layers have no rows inside.
        depth: how far inside others it is.
        reads: what it reads, by name in its own list; `input` is what the list reads.
        out_shape: without the batch, `(C, H, W)` or `(F,)`.
        parameters: trained numbers.
        buffers: numbers kept with them, but not trained.
        multiply_adds: of one image's forward pass.
        multiply_add_share: None in auxiliary heads, which evaluation does not run.
        receptive_field: pixels that one unit sees; `image`: all; None: not known.
        stride: pixels from one unit's field to the next one's.
        offset: centre of the first unit's field, in pixels from the centre of the first pixel.
        first_pixel: where the first unit's field begins; below 0 is padding.
        activation_bytes: kept by training's forward pass; see `cnntrain.arch.activation_memory`.
        learns: the ways in which its parameters learn, and how many do so.
    """

    name: str
    operation: str
    kind: Kind
    depth: int
    reads: tuple[str, ...]
    out_shape: Shape
    parameters: int
    parameter_share: float
    buffers: int
    multiply_adds: int
    multiply_add_share: float | None
    receptive_field: Pair | Literal["image"] | None
    stride: Pair | None
    offset: tuple[float, float] | None
    first_pixel: Pair | None
    activation_bytes: int
    learns: tuple[Share, ...]

    @property
    def is_leaf(self) -> bool:
        """Whether it is a layer that has no layers inside."""
        return self.kind == "layer"


def rows(plan: Plan, *, batch: int = 1, learning: Learning | None = None) -> list[Row]:
    """Every node of the plan, outer ones first.

    Args:
        plan: of the network.
        batch: images, for the memory of the activations.
        learning: what of it learns, and when; None: all of it, always.
    """
    table = _Table(plan, batch, learning)
    found = list(table.inside("", plan.body, 0))
    heads_begin = len(found)
    for name, source, _, head in plan.aux:
        found.append(table.row(name, "head", "head", 0, (source,), head))
        found += table.inside(name, head, 1)
    return [
        row if i < heads_begin else replace(row, multiply_add_share=None)
        for i, row in enumerate(found)
    ]


def as_data(
    plan: Plan, *, batch: int = 1, depth: int | None = None, learning: Learning | None = None
) -> dict[str, Any]:
    """The totals and the table as plain data.

    Args:
        plan: of the network.
        batch: images, for the memory of the activations.
        depth: levels of the table; None: all.
        learning: see `rows`.
    """
    table = rows(plan, batch=batch, learning=learning)
    shown = [row for row in table if depth is None or row.depth < depth]
    return {
        "input_shape": list(plan.body.in_shape),
        "output_shape": list(plan.body.out_shape),
        **totals(plan, batch=batch),
        "frozen_parameters": frozen_parameters(table),
        "layers": [{**asdict(row), "is_leaf": row.is_leaf} for row in shown],
    }


def totals(plan: Plan, *, batch: int = 1) -> dict[str, int]:
    """What a network is and costs in all; auxiliary heads are in all but the multiply-adds."""
    return {
        "parameters": plan.parameters,
        "buffers": plan.buffers,
        "weight_bytes": FLOAT32 * (plan.parameters + plan.buffers),
        "multiply_adds": plan.multiply_adds,
        "flops": 2 * plan.multiply_adds,
        "head_multiply_adds": sum(n.multiply_adds for *_, head in plan.aux for n in head.nodes),
        "batch": batch,
        "activation_bytes": activation_bytes(plan, batch=batch).total(),
    }


def frozen_parameters(table: Sequence[Row]) -> int:
    """How many parameters are frozen in the first epoch."""
    return sum(standing_still(row.learns) for row in table if row.depth == 0)


class _Table:
    """Makes rows of one plan."""

    def __init__(self, plan: Plan, batch: int, learning: Learning | None) -> None:
        self.learning = learning
        self.parameters = plan.parameters or 1
        self.multiply_adds = plan.multiply_adds or 1
        self.bytes = activation_bytes(plan, batch=batch)

    def inside(self, prefix: str, planned: PlannedList, depth: int) -> Iterator[Row]:
        """The rows of a list of layers and of all that is in them."""
        for node in planned.nodes:
            name = f"{prefix}.{node.name}" if prefix else node.name
            lists = list(node.lists)
            kind: Kind = "block" if lists else "layer"
            yield self.row(name, node.node.operation, kind, depth, node.node.sources, node)
            for inner, each in lists:
                path = f"{name}.{inner}" if inner else name
                if len(lists) > 1:
                    yield self.row(path, "path", "path", depth + 1, ("input",), each)
                yield from self.inside(path, each, depth + 1 + (len(lists) > 1))
            if lists and node.own:
                yield self._own(name, node, depth + 1)

    def row(
        self,
        name: str,
        operation: str,
        kind: Kind,
        depth: int,
        reads: tuple[str, ...],
        of: PlannedNode | PlannedList,
    ) -> Row:
        """One row, of a node or of a whole list."""
        nodes = [of] if isinstance(of, PlannedNode) else of.nodes
        parameters = sum(node.parameters for node in nodes)
        multiply_adds = sum(node.multiply_adds for node in nodes)
        field = of.receptive_field
        known = None if field is None or field.whole else field
        below = f"{name}."
        return Row(
            name=name,
            operation=operation,
            kind=kind,
            depth=depth,
            reads=reads,
            out_shape=of.out_shape,
            parameters=parameters,
            parameter_share=parameters / self.parameters,
            buffers=sum(node.buffers for node in nodes),
            multiply_adds=multiply_adds,
            multiply_add_share=multiply_adds / self.multiply_adds,
            receptive_field=_size(field),
            stride=None if known is None else (known.height.jump, known.width.jump),
            offset=None if known is None else (known.height.start, known.width.start),
            first_pixel=None if known is None else (first(known.height), first(known.width)),
            activation_bytes=sum(
                size for key, size in self.bytes.items() if key == name or key.startswith(below)
            ),
            learns=shares(name, parameters, self.learning),
        )

    def _own(self, name: str, node: PlannedNode, depth: int) -> Row:
        """What is a layer's own, besides the lists in it."""
        inner = [each for _, planned in node.lists for each in planned.nodes]
        parts = list(dict.fromkeys(key.partition(".")[0] for key in node.own))
        parameters = node.parameters - sum(each.parameters for each in inner)
        multiply_adds = node.multiply_adds - sum(each.multiply_adds for each in inner)
        return replace(
            self.row(f"{name}.{parts[0]}", "own", "layer", depth, ("input",), node),
            parameters=parameters,
            parameter_share=parameters / self.parameters,
            buffers=node.buffers - sum(each.buffers for each in inner),
            multiply_adds=multiply_adds,
            multiply_add_share=multiply_adds / self.multiply_adds,
            activation_bytes=self.bytes[name],
            learns=shares(name, parameters, None)
            if self.learning is None
            else joined(shares(f"{name}.{part}", 0, self.learning) for part in parts),
        )


def first(axis: Axis) -> int:
    """The first pixel that the first unit sees."""
    return round(axis.start - (axis.size - 1) / 2)


def _size(field: Field | None) -> Pair | Literal["image"] | None:
    if field is None:
        return None
    return "image" if field.whole else (field.height.size, field.width.size)
