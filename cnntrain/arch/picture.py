"""A plan as a picture's pieces: boxes, frames around blocks, branches beside each other."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby

from cnntrain.arch.items import INPUT
from cnntrain.arch.layout import Beside, Columns, Frame, Leaf, Look, Parallel, Piece, Stack
from cnntrain.arch.plan import Plan, PlannedList, PlannedNode
from cnntrain.arch.table_text import times

READABLE = 100
"""Boxes that a picture has at most where no depth is asked for, if folding can make it so."""

TALLEST, SHAPE = 760.0, 1.25
"""Points from which on a picture gets several columns, and the width to height to aim at then."""


def picture(plan: Plan, *, depth: int | None = None) -> Piece:
    """The whole picture.

    Args:
        plan: of the network.
        depth: levels of blocks to open; 1 opens none. None: as many as stay readable.
    """
    levels = depth if depth is not None else readable_depth(plan)
    heads: dict[str, list[Piece]] = {}
    for name, source, weight, head in plan.aux:
        detail = f"head, {weight:g} of the loss"
        inner = _stack(head, levels - 1) if levels > 1 else None
        piece: Piece = (
            Frame(name, detail, inner, ends=True) if inner else Leaf(name, detail, "folded")
        )
        heads.setdefault(source, []).append(piece)
    pieces: list[tuple[str, Piece]] = [(INPUT, Leaf(INPUT, times(plan.body.in_shape), "plain"))]
    sources: list[tuple[str, ...]] = [("",)]
    for group in _groups(plan.body, apart=heads):
        piece = _piece(group.nodes, levels)
        beside = heads.get(group.name)
        pieces.append((group.name, Beside(piece, beside) if beside else piece))
        sources.append(group.sources)
    return _in_columns(pieces, sources)


def readable_depth(plan: Plan) -> int:
    """The most levels with which the picture has no more than `READABLE` boxes; at least one."""
    levels = 1
    while levels < 9 and _boxes(plan, levels + 1) <= READABLE:
        if _boxes(plan, levels + 1) == _boxes(plan, levels):
            break
        levels += 1
    return levels


def _in_columns(pieces: list[tuple[str, Piece]], sources: list[tuple[str, ...]]) -> Piece:
    whole = Stack(pieces, sources=sources, first="")
    if whole.height <= TALLEST or whole.skips:
        return whole
    choices: list[Columns] = []
    for count in range(2, 9):
        stacks: list[Stack] = []
        begin, limit = 0, whole.height / count
        for end in range(1, len(pieces) + 1):
            tall = sum(piece.height for _, piece in pieces[begin : end + 1])
            if end == len(pieces) or (tall > limit and len(stacks) < count - 1):
                first = sources[begin][0]
                stacks.append(Stack(pieces[begin:end], sources=sources[begin:end], first=first))
                begin = end
        choices.append(Columns(stacks))
    return min(choices, key=lambda each: abs(each.width / each.height - SHAPE))


@dataclass(frozen=True)
class _Group:
    """One node, or several blocks in a row that are alike and drawn once: `block2 to block8`."""

    nodes: tuple[PlannedNode, ...]

    @property
    def name(self) -> str:
        return self.nodes[-1].name

    @property
    def sources(self) -> tuple[str, ...]:
        return self.nodes[0].node.sources


def _groups(planned: PlannedList, apart: Collection[str] = ()) -> list[_Group]:
    read_aside = {
        source
        for above, node in zip(("", *(n.name for n in planned.nodes)), planned.nodes, strict=False)
        for source in node.node.sources
        if source != above
    }

    def key(node: PlannedNode) -> object:
        stands_apart = node.name in read_aside or node.name in apart or not _is_numbered(node)
        if stands_apart or not any(True for _ in node.lists):
            return node.name
        counts = (node.parameters, node.multiply_adds)
        return (node.node.operation, node.in_shapes, node.out_shape, *counts)

    return [_Group(tuple(nodes)) for _, nodes in groupby(planned.nodes, key=key)]


def _stack(planned: PlannedList, levels: int) -> Stack | None:
    groups = _groups(planned)
    pieces = [(group.name, _piece(group.nodes, levels)) for group in groups]
    sources = [group.sources for group in groups]
    return Stack(pieces, sources=sources, first=INPUT) if pieces else None


def _piece(nodes: Sequence[PlannedNode], levels: int) -> Piece:
    node = nodes[-1]
    lists = list(node.lists)
    if not lists:
        return Leaf(node.name, _detail(node), _look(node))
    shape = times(node.out_shape)
    facts = "" if _is_numbered(node) else f"{node.node.operation}  "
    title = node.name if len(nodes) == 1 else f"{nodes[0].name} to {node.name}"
    if levels <= 1:
        return Leaf(title, f"{facts}{shape}", "folded")
    below = levels - (not _is_shell(node))
    columns = [(name, _stack(each, below)) for name, each in lists]
    if node.own:
        own = next(iter(node.own)).partition(".")[0]
        columns.append(("", Stack([(own, _own(node, own))], sources=[(INPUT,)], first=INPUT)))
    elif node.node.operation == "residual" and len(columns) == 1:
        columns.append(("", None))
    if len(columns) == 1 and columns[0][1] is not None:
        return Frame(title, facts + shape, columns[0][1])
    merge = node.keywords.get("merge", "+" if node.node.operation == "residual" else "join")
    symbol = "+" if merge == "add" else str(merge)
    titles = [name.rpartition(".")[2] if len(lists) > 1 else "" for name, _ in columns]
    named = [(title, piece) for title, (_, piece) in zip(titles, columns, strict=True)]
    return Parallel(named, join=Leaf(f"{symbol}  {title}", shape, "join"))


def _is_shell(node: PlannedNode) -> bool:
    """A block around one layer that has lists is opened together with it."""
    return node.body is not None and len(node.body.nodes) == 1 and any(node.body.nodes[0].lists)


def _own(node: PlannedNode, name: str) -> Leaf:
    return Leaf(name, ", ".join(dict.fromkeys(node.own.values())), "weights")


def _detail(node: PlannedNode) -> str:
    """Operation, window and output shape, such as `conv 5x5 / 2  64x112x112`."""
    parts = [] if _is_numbered(node) else [node.node.operation]
    kernel, stride = node.keywords.get("kernel"), node.keywords.get("stride")
    if kernel is not None:
        parts.append(times(kernel) if isinstance(kernel, tuple) else f"{kernel}x{kernel}")
    if stride is not None and stride != 1:
        parts.append(f"/ {times(stride) if isinstance(stride, tuple) else stride}")
    return "  ".join([" ".join(parts), times(node.out_shape)]).strip()


def _is_numbered(node: PlannedNode) -> bool:
    return node.name.removeprefix(node.node.operation).isdigit()


def _look(node: PlannedNode) -> Look:
    if node.node.entry is not None and node.node.entry.options.get("inputs") == "many":
        return "join"
    if node.parameters:
        return "weights"
    before, after = (shape[1:] for shape in (node.in_shapes[0], node.out_shape))
    return "smaller" if before != after else "plain"


def _boxes(plan: Plan, levels: int) -> int:
    """How many boxes there are with so many levels opened."""

    def count(planned: PlannedList, left: int) -> int:
        total = 0
        for group in _groups(planned):
            lists = list(group.nodes[-1].lists)
            below = left - (not _is_shell(group.nodes[-1]))
            total += sum(count(each, below) for _, each in lists) if lists and left > 1 else 1
        return total

    return sum(count(each, levels) for each in (plan.body, *(head for *_, head in plan.aux)))
