"""A plan as rows: one for each layer, block, path and head, with shares; and as data for JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import prod
from typing import Any, Literal, TypeVar

from cnntrain.arch.activation_memory import FLOAT32, activation_bytes
from cnntrain.arch.coverage import coverages
from cnntrain.arch.network import Shape
from cnntrain.arch.plan import Plan, PlannedList, PlannedNode, dotted_name
from cnntrain.arch.receptive import Axis, Field

Kind = Literal["layer", "block", "path", "head"]
Pair = tuple[int, int]


@dataclass(frozen=True)
class Share:
    """How many parameters learn in one way.

    Args:
        from_epoch: the epoch, from 1, from which on they learn; None: they are frozen.
        lr_factor: of their learning rate.
        parameters: how many.
        until: the epoch from which on they are frozen again; None: they are not.
    """

    from_epoch: int | None
    lr_factor: float
    parameters: int
    until: int | None = None

    @property
    def how(self) -> tuple[int | None, float, int | None]:
        """All but how many."""
        return self.from_epoch, self.lr_factor, self.until


Learning = Mapping[str, Share]
"""How each parameter of a network learns, by its name."""


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

    @property
    def last_name(self) -> str:
        """Its name in its own list."""
        return self.name.rpartition(".")[2]

    @property
    def is_numbered(self) -> bool:
        """Whether nobody chose its name: `relu3` counts layers, no more."""
        return self.last_name.removeprefix(self.operation).isdigit()


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
        "coverage": [asdict(each) for each in coverages(plan)[-1:]],
        "layers": [{**asdict(row), "is_leaf": row.is_leaf} for row in shown],
    }


def totals(plan: Plan, *, batch: int = 1) -> dict[str, int]:
    """What a network is and costs in all; auxiliary heads are in all but the multiply-adds."""
    return {
        "units": units(plan),
        "parameters": plan.parameters,
        "buffers": plan.buffers,
        "weight_bytes": FLOAT32 * (plan.parameters + plan.buffers),
        "multiply_adds": plan.multiply_adds,
        "flops": 2 * plan.multiply_adds,
        "head_multiply_adds": sum(head.multiply_adds for *_, head in plan.aux),
        "batch": batch,
        "activation_bytes": activation_bytes(plan, batch=batch).total(),
    }


def units(plan: Plan) -> int:
    """Neurons: the outputs of all layers with weights that add up what they read.

    The 650,000 of Krizhevsky, Sutskever and Hinton 2012. Auxiliary heads count, too. The image does
    not, nor do layers that normalise, pool, scale maps or apply a function to each value.
    """
    total = 0
    for _, node in plan.walk():
        inside = [each for _, each in node.lists]
        weights = node.parameters - sum(each.parameters for each in inside)
        sums = node.multiply_adds - sum(each.multiply_adds for each in inside)
        if sums and (weights or node.node.named) and node.node.operation != "squeeze_excite":
            total += prod(node.out_shape)
    return total


def frozen_parameters(table: Sequence[Row]) -> int:
    """How many parameters are frozen in the first epoch."""
    return frozen_at_first(share for row in table if row.depth == 0 for share in row.learns)


def frozen_at_first(shares: Iterable[Share]) -> int:
    """How many parameters are frozen in the first epoch."""
    return sum(share.parameters for share in shares if share.from_epoch != 1)


def joined(shares: Iterable[Share]) -> tuple[Share, ...]:
    """The shares of several parameters or layers together, those that learn first at first."""
    counts: Counter[tuple[int | None, float, int | None]] = Counter()
    for share in shares:
        counts[share.how] += share.parameters
    found = [Share(epoch, lr, count, end) for (epoch, lr, end), count in counts.items()]
    return tuple(sorted(found, key=lambda s: (s.from_epoch or float("inf"), -s.lr_factor)))


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
            name = dotted_name(prefix, node.name)
            lists = list(node.lists)
            kind: Kind = "block" if lists else "layer"
            yield self.row(name, node.node.operation, kind, depth, node.node.sources, node)
            for inner, each in lists:
                path = dotted_name(name, inner)
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
        field = of.receptive_field
        is_whole = field is not None and field.whole
        return Row(
            name=name,
            operation=operation,
            kind=kind,
            depth=depth,
            reads=reads,
            out_shape=of.out_shape,
            parameters=of.parameters,
            parameter_share=of.parameters / self.parameters,
            buffers=of.buffers,
            multiply_adds=of.multiply_adds,
            multiply_add_share=of.multiply_adds / self.multiply_adds,
            receptive_field="image" if is_whole else _pair(field, lambda axis: axis.size),
            stride=_pair(field, lambda axis: axis.jump),
            offset=_pair(field, lambda axis: axis.start),
            first_pixel=_pair(field, lambda axis: round(axis.low)),
            activation_bytes=sum(
                size for key, size in self.bytes.items() if f"{key}.".startswith(f"{name}.")
            ),
            learns=self._shares([name], of.parameters),
        )

    def _own(self, name: str, node: PlannedNode, depth: int) -> Row:
        """What is a layer's own, besides the lists in it."""
        lists = node.nested.values()
        rest = replace(
            node,
            parameters=node.parameters - sum(each.parameters for each in lists),
            buffers=node.buffers - sum(each.buffers for each in lists),
            multiply_adds=node.multiply_adds - sum(each.multiply_adds for each in lists),
        )
        names = list(dict.fromkeys(f"{name}.{key.partition('.')[0]}" for key in node.own))
        return replace(
            self.row(names[0], "own", "layer", depth, ("input",), rest),
            activation_bytes=self.bytes[name],
            learns=self._shares(names, rest.parameters),
        )

    def _shares(self, names: Sequence[str], parameters: int) -> tuple[Share, ...]:
        """The ways in which the parameters below these names learn, which are so many."""
        if self.learning is None:
            return (Share(1, 1.0, parameters),) if parameters else ()
        below = tuple(f"{name}." for name in names)
        return joined(share for name, share in self.learning.items() if name.startswith(below))


T = TypeVar("T", int, float)


def _pair(field: Field | None, of: Callable[[Axis], T]) -> tuple[T, T] | None:
    """Something of both axes of a field; None where it is the whole image, or is not known."""
    return None if field is None or field.whole else (of(field.height), of(field.width))
