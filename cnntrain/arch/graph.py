"""A plan as a graph: boxes, frames around opened blocks, arrows; written as DOT or as Mermaid."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal

from cnntrain.arch.items import INPUT
from cnntrain.arch.plan import Plan, PlannedList, PlannedNode
from cnntrain.arch.table_text import times
from cnntrain.core.escapes import escaped, in_dot, in_mermaid

Look = Literal["weights", "smaller", "plain", "folded", "join"]

COLOURS: dict[Look, str] = {
    "weights": "#cfe2f3",
    "smaller": "#fbe3c8",
    "plain": "#f1f1f1",
    "folded": "#d8ecd3",
    "join": "#eadcf4",
}
"""Blue boxes have weights, orange ones change height and width or flatten, green ones are blocks
that are not opened, violet ones join."""

READABLE = 100
"""Boxes of a graph at most where no depth is asked for, if folding can make it so."""


@dataclass(frozen=True)
class Box:
    """A box; `number` is its name in the arrows."""

    number: int
    title: str
    detail: str
    look: Look


@dataclass
class Diagram:
    """Boxes and frames in it; the frames are graphs that share its arrows and numbers."""

    title: str = ""
    number: int = 0
    inside: list[Box | Diagram] = field(default_factory=list)
    arrows: list[tuple[int, int]] = field(default_factory=list)
    everything: list[Box | Diagram] = field(default_factory=list)

    @property
    def boxes(self) -> list[Box]:
        """All, those in frames included."""
        return [each for each in self.everything if isinstance(each, Box)]

    def frame(self, title: str) -> Diagram:
        """A frame in it."""
        frame = Diagram(title, len(self.everything), arrows=self.arrows, everything=self.everything)
        self.inside.append(frame)
        self.everything.append(frame)
        return frame

    def box(self, title: str, detail: str, look: Look, *, reads: Sequence[int]) -> int:
        """A box in it that reads those; its number."""
        box = Box(len(self.everything), title, detail, look)
        self.inside.append(box)
        self.everything.append(box)
        self.arrows += [(number, box.number) for number in dict.fromkeys(reads)]
        return box.number


def as_graph(plan: Plan, *, depth: int | None = None, title: str = "") -> Diagram:
    """A network from top to bottom, blocks in a row that are alike drawn once.

    Args:
        plan: of the network.
        depth: levels of blocks to open; 1 opens none. None: as many as stay readable.
        title: what stands above.
    """
    if depth is not None:
        return _graph(plan, depth, title)
    shown = _graph(plan, 1, title)
    for levels in range(2, 10):
        deeper = _graph(plan, levels, title)
        if len(deeper.boxes) > READABLE or len(deeper.boxes) == len(shown.boxes):
            break
        shown = deeper
    return shown


def as_dot(graph: Diagram) -> str:
    """In Graphviz's language."""

    def box(box: Box) -> str:
        text = in_dot(*filter(None, (box.title, box.detail)))
        return f'n{box.number} [label={text} fillcolor="{COLOURS[box.look]}"]'

    def frame(frame: Diagram) -> tuple[str, str]:
        return f"subgraph cluster_{frame.number} {{ label={in_dot(frame.title)}", "}"

    lines = [
        "digraph {",
        f'  graph [label={in_dot(graph.title)} labelloc=t fontname="Helvetica" color=gray]',
        '  node [shape=box style="rounded,filled" fontname="Helvetica" fontsize=10 height=0.3]',
        *_lines(graph, box, frame, "  "),
        *(f"  n{source} -> n{end}" for source, end in graph.arrows),
        "}",
    ]
    return "\n".join(lines) + "\n"


def as_mermaid(graph: Diagram) -> str:
    """In Mermaid's language, which GitHub and many editors draw."""

    def box(box: Box) -> str:
        return f"n{box.number}[{in_mermaid(*filter(None, (box.title, box.detail)))}]:::{box.look}"

    def frame(frame: Diagram) -> tuple[str, str]:
        return f"subgraph s{frame.number}[{in_mermaid(frame.title)}]", "end"

    title = json.dumps(escaped(graph.title), ensure_ascii=False)  # in YAML
    lines = [
        *("---", f"title: {title}", "---", "flowchart TB"),
        *(f"  classDef {look} fill:{colour},color:#222" for look, colour in COLOURS.items()),
        *_lines(graph, box, frame, "  "),
        *(f"  n{source} --> n{end}" for source, end in graph.arrows),
    ]
    return "\n".join(lines) + "\n"


def _lines(
    graph: Diagram,
    box: Callable[[Box], str],
    frame: Callable[[Diagram], tuple[str, str]],
    indent: str,
) -> Iterator[str]:
    for each in graph.inside:
        if isinstance(each, Box):
            yield indent + box(each)
        else:
            begin, end = frame(each)
            yield indent + begin
            yield from _lines(each, box, frame, indent + "  ")
            yield indent + end


def _graph(plan: Plan, levels: int, title: str) -> Diagram:
    graph = Diagram(title)
    begin = graph.box(INPUT, times(plan.body.in_shape), "plain", reads=())
    apart = {source for _, source, _, _ in plan.aux}
    ends = _put_list(graph, plan.body, levels, reads=begin, apart=apart)
    for name, source, weight, head in plan.aux:
        detail = f"head, {weight:g} of the loss"
        if levels > 1:
            _put_list(graph.frame(f"{name}  {detail}"), head, levels - 1, reads=ends[source])
        else:
            graph.box(name, detail, "folded", reads=[ends[source]])
    return graph


def _put_list(
    graph: Diagram, planned: PlannedList, levels: int, *, reads: int, apart: Collection[str] = ()
) -> dict[str, int]:
    """The number of the box that each node's output comes from, of all blocks that were drawn."""
    ends = {INPUT: reads}
    for group in _groups(planned, apart):
        sources = [ends[source] for source in group[0].node.sources]
        ends[group[-1].name] = _put(graph, group, levels, reads=sources)
    return ends


def _put(graph: Diagram, nodes: Sequence[PlannedNode], levels: int, *, reads: Sequence[int]) -> int:
    node, lists = nodes[-1], list(nodes[-1].lists)
    if not lists:
        return graph.box(node.name, _detail(node), _look(node), reads=reads)
    shape = times(node.out_shape)
    facts = shape if _is_numbered(node) else f"{node.node.operation}  {shape}"
    title = node.name if len(nodes) == 1 else f"{nodes[0].name} to {node.name}"
    if levels <= 1:
        return graph.box(title, facts, "folded", reads=reads)
    frame = graph.frame(f"{title}  {facts}")
    ends: list[int] = []
    for name, each in lists:
        path = name.rpartition(".")[2]
        inside = frame.frame(path) if len(lists) > 1 and each.nodes else frame
        below = levels - (not _is_shell(node))
        ends.append([*_put_list(inside, each, below, reads=reads[0]).values()][-1])
    if node.own:
        own = next(iter(node.own)).partition(".")[0]
        detail = ", ".join(dict.fromkeys(node.own.values()))
        ends.append(frame.box(own, detail, "weights", reads=reads))
    elif node.node.operation == "residual" and len(lists) == 1:
        ends += reads
    if len(ends) == 1:
        return ends[0]
    merge = node.keywords.get("merge", "add" if node.node.operation == "residual" else "join")
    return frame.box("+" if merge == "add" else str(merge), shape, "join", reads=ends)


def _groups(planned: PlannedList, apart: Collection[str]) -> list[list[PlannedNode]]:
    """Single nodes, and blocks in a row that are alike and drawn once: `block2 to block8`."""
    above = ("", *(node.name for node in planned.nodes))
    read_aside = {
        source
        for before, node in zip(above, planned.nodes, strict=False)
        for source in node.node.sources
        if source != before
    }

    def key(node: PlannedNode) -> object:
        stands_apart = node.name in read_aside or node.name in apart or not _is_numbered(node)
        if stands_apart or not any(True for _ in node.lists):
            return node.name
        counts = (node.parameters, node.multiply_adds)
        return (node.node.operation, node.in_shapes, node.out_shape, *counts)

    return [list(nodes) for _, nodes in groupby(planned.nodes, key=key)]


def _is_shell(node: PlannedNode) -> bool:
    """A block around one layer that has lists is opened together with it."""
    body = node.nested.get("")
    return body is not None and len(body.nodes) == 1 and any(body.nodes[0].lists)


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
