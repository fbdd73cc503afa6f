"""What planning says about a layer that does not fit: the cause in words, and what to change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from cnntrain.arch.description import Description
from cnntrain.arch.expand import Node
from cnntrain.arch.network import Shape
from cnntrain.arch.plan import PlannedList
from cnntrain.arch.receptive import window
from cnntrain.core.errors import ConfigError
from cnntrain.core.plugins import plugin_place
from cnntrain.core.problems import Problem, suggestion
from cnntrain.show.words import shape_text
from cnntrain.tasks.classification import CLASSIFICATION
from cnntrain.tasks.protocol import Task

SMALLER_THAN_WINDOW = "is larger than the map"
"""What messages say of a window over a map that it does not fit into."""


def misfit(
    node: Node, inputs: Sequence[Shape], error: Exception, module: nn.Module | None
) -> Problem:
    """The problem when a layer's constructor or `forward` raised `error`.

    `inputs` are the shapes that it reads, `module` is the layer itself, if it could be made.
    """
    reads = shape_text(inputs[0])
    if len(inputs) > 1:
        pairs = zip(inputs, node.sources, strict=True)
        reads = " and ".join(f"{shape_text(shape)} ({source})" for shape, source in pairs)
    start = f"'{node.name}' ({node.operation}) cannot read {reads}: "
    too_large = _window_too_large(module, inputs[0])
    if too_large is not None:
        return node.problem(start + too_large[0], too_large[1])
    reason = str(error).strip().split("\n")[0] or type(error).__name__
    reason, _, remedy = reason.removeprefix(f"{node.operation}: ").partition("; ")
    place = plugin_place(error)
    if place is not None:
        reason = f"{type(error).__name__}: {reason}"
        remedy = remedy or f"see {place.file}:{place.line}"
    sources = " and ".join(node.sources)
    remedy = remedy or f"change its parameters, or those of what it reads ({sources})"
    return node.problem(start + reason, remedy)


def _window_too_large(module: nn.Module | None, shape: Shape) -> tuple[str, str] | None:
    axes = [window(module, axis) for axis in (0, 1)] if module is not None else []
    known = [axis for axis in axes if axis is not None]
    if len(shape) != 3 or len(known) != 2:
        return None
    reach = [(axis.kernel - 1) * axis.dilation + 1 for axis in known]
    padded = [side + 2 * axis.padding for side, axis in zip(shape[1:], known, strict=True)]
    if all(size <= side for size, side in zip(reach, padded, strict=True)):
        return None
    message = f"its window of {reach[0]}x{reach[1]} {SMALLER_THAN_WINDOW}"
    if padded != list(shape[1:]):
        message += f", which is {padded[0]}x{padded[1]} with the padding"
    return message, "use a smaller kernel or more padding, or shrink the maps less above it"


def check_outputs(body: PlannedList, description: Description, task: Task) -> None:
    """Refuse a network whose output is not what the task needs, or whose heads are not the task's.

    A task for several heads has `tasks`, by their names. Without a run file (`CLASSIFICATION`) what
    heads learn is unknown.

    Raises:
        ConfigError: at the last layer of the network or of a head, or at the head.
    """
    tasks: Mapping[str, Task] = getattr(task, "tasks", {})
    heads = {node.name: node for node in body.nodes if node.name in description.heads}
    if not heads and not tasks:
        check_output("the network", body, description, task)
    if task is CLASSIFICATION:
        return
    for name, planned in heads.items():
        if name not in tasks:
            message, remedy = f"the task has no head '{name}'", suggestion(name, list(tasks))
            if not tasks:
                message = "the network has heads, and the task learns one thing only"
                remedy = "set task.name to multitask, with a task for each head (docs/tasks.md)"
            raise ConfigError.of([planned.node.problem(message, remedy)])
        inside, count = planned.nested["layers"], description.facts.of_heads.get(name)
        check_output(f"the head '{name}'", inside, description, tasks[name], count=count)
    if missing := [name for name in tasks if name not in heads]:
        message = f"the task has a head '{missing[0]}', and the network does not"
        remedy = f"add it to the architecture: `heads: {{{missing[0]}: {{layers: [...]}}}}`"
        raise ConfigError.of([body.nodes[-1].node.problem(message, remedy)])


def check_output(
    what: str,
    planned: PlannedList,
    description: Description,
    task: Task,
    *,
    count: int | None = None,
) -> None:
    """Refuse layers whose output is not what a task needs, with `count` outputs if not as usual.

    Raises:
        ConfigError: at the last layer.
    """
    facts, of_image = description.facts, getattr(task, "wrong_image", None)
    count = facts.num_classes if count is None else count
    if of_image is not None:
        image = (facts.image_channels, facts.image_height, facts.image_width)
        wrong = of_image(planned.out_shape, image)
    elif count is None:
        wrong = None
    else:
        wrong = task.wrong_output(planned.out_shape, count)
    if wrong is not None:
        reason, remedy = wrong
        node = planned.nodes[-1].node
        raise ConfigError.of([node.problem(f"{what} {reason}", remedy)])


def filled(node: Node, inputs: Sequence[Shape]) -> dict[str, int | Shape | tuple[Shape, ...]]:
    """The parameters that follow from the shape of what a layer reads.

    Raises:
        ConfigError: it reads maps, but gets a flat vector, or the other way round.
    """
    assert node.entry is not None
    shape = inputs[0]
    found: dict[str, int | Shape | tuple[Shape, ...]] = {}
    for name in node.entry.filled:
        if name == "named":  # the planner's
            continue
        if name == "in_shape":
            found[name] = tuple(inputs) if node.entry.options.get("inputs") == "many" else shape
            continue
        sides, what, remedy = _READS[name]
        if len(shape) != sides:
            message = f"'{node.operation}' reads {what}, but gets {shape_text(shape)}"
            raise ConfigError.of([node.problem(message, remedy)])
        found[name] = shape[0]
    return found


_READS = {
    "in_channels": (3, "maps (C, H, W)", "put it above the layer that makes the maps flat"),
    "in_features": (1, "a flat vector", "put `- flatten` or `- global_avg_pool` above it"),
}
