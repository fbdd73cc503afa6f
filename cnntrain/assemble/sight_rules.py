"""What a network can see and say, by its plan: no image is read, nothing is computed.

Each rule looks at the trunk, the layers through which everything goes that reaches the outputs.
What some right network has is no remark, or a suspicion.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from cnntrain.arch.coverage import counts
from cnntrain.arch.linearity import MixingLayer, linearity_of
from cnntrain.arch.plan import Plan, PlannedList, PlannedNode, dotted_name
from cnntrain.arch.receptive import Field
from cnntrain.assemble.arch_edits import with_item_behind, with_parameter, without_item
from cnntrain.assemble.sight_edits import finer_maps, larger_windows, same_padding
from cnntrain.assemble.tap_rules import idle_taps
from cnntrain.core.remark import Remark, at_line
from cnntrain.show.words import counted, listed

UNSEEN, MANY_UNSEEN = 0.15, 0.25
"""Share of the pixels that no output depends on, for a suspicion and for a fault. Strides that do
not divide the image leave some rows at its border."""

KEPT, FEW_KEPT = 1 / 8, 1 / 16
"""Values that the second convolution reads, of those of the image: fewer are a suspicion, a fault.
LeNet-5 has 1.1 times as many as the image (LeCun et al. 1998), ResNet 1.3 (He et al. 2015)."""

LOCAL = 1 / 5
"""Side of what a unit sees before global pooling, of the image's side: below, only textures are
counted. BagNet-33 sees 15 % and classifies photographs (Brendel and Bethge 2019): a suspicion."""

SQUASHING = ("relu", "relu6", "sigmoid", "hard_sigmoid", "tanh", "softmax", "softplus")
DROPPING = ("dropout", "dropout2d", "masking_noise", "gaussian_noise")
RESHAPING = ("flatten", "unflatten", "identity")

Layers = list[tuple[str, PlannedNode]]


def sight(
    plan: Plan, *, classes: int = 0, applies: str = "", is_image: bool = False
) -> list[Remark]:
    """All remarks on what a network can see and say.

    Args:
        plan: of the network.
        classes: of which one is right for each image; 0 for other tasks.
        applies: what the loss applies to the outputs itself: softmax, sigmoid or nothing.
        is_image: whether the network gives an image, as an autoencoder does.
    """
    trunk = list(_trunk(plan.body))
    return [
        *_unseen(plan, trunk),
        *_pooled_early(plan, trunk),
        *_linear(plan, is_image=is_image),
        *(_narrow(trunk, classes) if classes > 1 else ()),
        *(_squashed(trunk, applies) if applies else ()),
        *_local(plan, trunk),
        *idle_taps(plan),
    ]


def _trunk(planned: PlannedList, prefix: str = "") -> Iterator[tuple[str, PlannedNode]]:
    """The layers that everything goes through, those of blocks too, by their dotted names."""
    nodes = planned.nodes
    for place, node in enumerate(nodes):
        here = {each.name for each in nodes[place:]}
        if not all(set(each.node.sources) <= here for each in nodes[place + 1 :]):
            continue
        name = dotted_name(prefix, node.name)
        if "" in node.inside.values():
            ((inside, each),) = node.lists
            yield from _trunk(each, dotted_name(name, inside))
        else:
            yield name, node


def _called(name: str, node: PlannedNode) -> str:
    return f"'{name}'{at_line(node.node.problem('', '').place)}"


def _unseen(plan: Plan, trunk: Layers) -> Iterator[Remark]:
    """A stride beyond the window, by receptive fields; and what is cut off at the border."""
    last: tuple[str, PlannedNode, Field] | None = None
    above: list[PlannedNode] = []
    for name, node in trunk:
        field = node.receptive_field
        if field is None or field.whole or len(node.out_shape) != 3:
            break
        last = name, node, field
        above.append(node)
        seen = math.prod(min(1.0, axis.size / axis.jump) for axis in (field.height, field.width))
        if seen < 1.0 and max(node.out_shape[1:]) > 1:
            yield _gaps(name, node, field, 1 - seen)
            return
    if last is None:
        return
    name, node, field = last
    sides = zip(
        (field.height, field.width), node.out_shape[1:], plan.body.in_shape[1:], strict=True
    )
    seen = 1.0
    for axis, units, pixels in sides:
        covered = counts(axis, units=units, pixels=pixels)
        seen *= sum(count > 0 for count in covered) / pixels
    if 1 - seen > UNSEEN:
        size = "x".join(map(str, node.out_shape[1:]))
        yield Remark(
            "unseen_pixels",
            f"no output depends on {1 - seen:.0%} of the pixels, at the border of the image",
            f"the {size} units of {_called(name, node)} are the last maps, and see "
            f"{field.height.size}x{field.width.size} pixels each, {field.height.jump} apart",
            "give the layers before it `padding: same`, or the images another size",
            is_certain=1 - seen > MANY_UNSEEN,
            overrides=same_padding(above),
        )


def _gaps(name: str, node: PlannedNode, field: Field, unseen: float) -> Remark:
    kernel, stride = node.keywords.get("kernel"), node.keywords.get("stride")
    what = "" if stride is None else f": its stride {stride} is beyond its kernel {kernel}"
    return Remark(
        "unseen_pixels",
        f"no output depends on {unseen:.0%} of the pixels: {_called(name, node)} steps over them",
        f"its units see {field.height.size}x{field.width.size} pixels each and stand "
        f"{field.height.jump}x{field.width.jump} pixels apart{what}",
        "make the stride at most the kernel",
        is_certain=unseen > MANY_UNSEEN,
        overrides=() if stride is None else with_parameter(node.node, "stride", kernel),
    )


def _is_mixing(node: PlannedNode) -> bool:
    """Whether it computes something with weights; a layer with layers inside does."""
    entry = node.node.entry
    return bool(node.nested) or (
        entry is not None and node.parameters > 0 and _affine(node) != "plain"
    )


def _affine(node: PlannedNode) -> str:
    return "" if node.node.entry is None else str(node.node.entry.options.get("affine", ""))


def _pooled_early(plan: Plan, trunk: Layers) -> Iterator[Remark]:
    """Resolution that is gone before anything, or more than an edge, was computed."""
    mixing = [place for place, (_, node) in enumerate(trunk) if _is_mixing(node)]
    before = trunk[: mixing[0]] if mixing else []
    for name, node in before:
        values, left = math.prod(node.in_shapes[0]), math.prod(node.out_shape)
        if "pool" in node.node.operation and left < values:
            yield Remark(
                "pooled_early",
                f"{_called(name, node)} pools the pixels before anything was computed",
                f"of {values:,} values {left:,} are left: a smaller image",
                "put a convolution and an activation above it",
                is_certain=left <= FEW_KEPT * values,
                overrides=without_item(node.node),
            )
            return
    if len(mixing) < 2:
        return
    (_, first), (name, second) = trunk[mixing[0]], trunk[mixing[1]]
    values, there = math.prod(second.in_shapes[0]), math.prod(plan.body.in_shape)
    has_maps = len(second.in_shapes[0]) == 3 and max(second.in_shapes[0][1:]) > 1
    if has_maps and len(first.out_shape) == 3 and values < KEPT * there:
        size = "x".join(map(str, second.in_shapes[0]))
        yield Remark(
            "pooled_early",
            f"of the image's {there:,} values {values:,} are left before {_called(name, second)}",
            f"it is the second layer that computes something, and reads {size}",
            f"lower the strides up to {_called(*trunk[mixing[0]])}, pool less behind it, or give "
            "it more maps",
            is_certain=values < FEW_KEPT * there,
            overrides=finer_maps(node for _, node in trunk[mixing[0] : mixing[1]]),
        )


def _linear(plan: Plan, *, is_image: bool) -> Iterator[Remark]:
    """Layers without an activation between them."""
    found = linearity_of(plan)
    is_whole = bool(found.whole) and not is_image
    chains = [found.whole] if is_whole else list(found.chains)
    if not chains:
        return
    firsts = [each for chain in chains for each in chain[:-1]]
    last = {chain[-1].node.node.path for chain in chains}
    longest = max(chains, key=len)
    between = "the whole network is one matrix" if is_whole else "together they are one matrix"
    is_repairable = not any(each.node.node.path in last for each in firsts)
    yield Remark(
        "linear_chain",
        f"there is no activation between {_pair(longest)}: {between}",
        f"{counted(len(longest), 'layer')} with weights read each other in a row, and everything "
        f"between them is linear: {listed([each.name for each in longest])}",
        "put `- relu` behind each convolution or linear layer but the last one",
        is_certain=is_whole or len(longest) > 2,
        overrides=(
            with_item_behind([each.node.node for each in firsts], "relu") if is_repairable else ()
        ),
    )


def _pair(chain: Sequence[MixingLayer]) -> str:
    first, second = chain[0], chain[1]
    return f"{_called(first.name, first.node)} and {_called(second.name, second.node)}"


def _narrow(trunk: Layers, classes: int) -> Iterator[Remark]:
    """Fewer values than bits are needed to say the class: log2 of their number."""
    ends = [place for place, (_, node) in enumerate(trunk) if _is_mixing(node)][-1:]
    inner = trunk[: ends[0]] if ends else []
    if not inner:
        return
    name, node = min(inner, key=lambda each: math.prod(each[1].out_shape))
    values, bits = math.prod(node.out_shape), math.log2(classes)
    if values >= bits:
        return
    at = inner.index((name, node))
    makes = [each for each in inner[: at + 1] if "out" in each[1].keywords]
    behind = inner[inner.index(makes[-1]) :] if makes else inner
    yield Remark(
        "bottleneck",
        f"all that reaches the outputs goes through the {counted(values, 'value')} of "
        f"{_called(name, node)}",
        f"{classes} classes are {bits:.2g} bits, and need at least as many values where each is "
        "on or off",
        f"give it {max(16, 2 * classes)} or more outputs",
        is_certain=values == 1 or any(each.node.operation in SQUASHING for _, each in behind),
        overrides=with_parameter(makes[-1][1].node, "out", max(16, 2 * classes)) if makes else (),
    )


def _squashed(trunk: Layers, applies: str) -> Iterator[Remark]:
    """A last layer that limits the scores, or takes some away, before the loss reads them."""
    name, node = next(
        (each for each in reversed(trunk) if each[1].node.operation not in RESHAPING), trunk[-1]
    )
    what = node.node.operation
    if what in SQUASHING:
        yield Remark(
            "squashed_outputs",
            f"the network ends in {_called(name, node)}, and the loss applies its own {applies}",
            f"of a {what} the scores cannot go where the {applies} needs them: up for the right "
            "class and down for all others",
            f"end the network with the linear layer: remove the last {what}",
            overrides=without_item(node.node),
        )
    elif what in DROPPING:
        yield Remark(
            "squashed_outputs",
            f"the network ends in {_called(name, node)}, which spoils the scores themselves",
            "in training the loss reads scores of which some are 0 or noise, the right class's too",
            "put it before the last layer with weights",
            overrides=without_item(node.node),
        )


def _local(plan: Plan, trunk: Layers) -> Iterator[Remark]:
    """Global pooling over units that see small windows only."""
    for (name, node), (pool_name, pool) in pairwise(trunk):
        field = node.receptive_field
        if not pool.node.operation.startswith("global_") or field is None or field.whole:
            continue
        height, width = plan.body.in_shape[1:]
        share = max(field.height.size / height, field.width.size / width)
        if share < LOCAL:
            yield Remark(
                "small_windows",
                f"before {_called(pool_name, pool)} a unit sees {field.height.size}x"
                f"{field.width.size} of {height}x{width} pixels",
                f"'{pool_name}' forgets where things are, so only what is seen in such a window of "
                f"'{name}' is known, and how often",
                "put more convolutions and pooling above it, or flatten in its place",
                is_certain=False,
                overrides=larger_windows(pool, field, (height, width)),
            )
