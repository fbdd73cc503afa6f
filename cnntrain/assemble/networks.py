"""From a run file to a plan and a network: what the data say goes into the architecture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import torch

from cnntrain.arch.build import build
from cnntrain.arch.description import Facts, try_to_describe, usual_facts
from cnntrain.arch.initialise import InitRuleError, initialise, read_init_rules
from cnntrain.arch.network import Network
from cnntrain.arch.plan import Plan
from cnntrain.arch.planner import make_plan
from cnntrain.arch.shape_errors import SMALLER_THAN_WINDOW
from cnntrain.assemble.make_parts import make_task
from cnntrain.config.loaded import Loaded
from cnntrain.core.document import Document, KeyPath
from cnntrain.core.errors import ConfigError
from cnntrain.core.problems import Problem, halves
from cnntrain.core.seeding import derive_seed
from cnntrain.core.target_forms import UNNAMED
from cnntrain.data.learn_whitening import ZCA, refuse_many_values
from cnntrain.data.metadata import facts as data_facts
from cnntrain.data.pipeline import planned_size
from cnntrain.data.transform_errors import TransformError, in_place
from cnntrain.tasks.classification import CLASSIFICATION
from cnntrain.tasks.protocol import Task

_RESHAPING = ("flatten", "unflatten", "identity")
"""Operations that leave every value as it is."""

LARGEST = 1024
"""Pixels up to which a size is looked for that a network takes."""

CLASSES_IF_UNKNOWN = 10
"""Outputs of a plan whose class folders are not there to be counted."""


def plan_network(loaded: Loaded, *, num_classes: int | None = None) -> Plan:
    """Plan the network for the images of the run file; no image is read.

    Args:
        loaded: the run file.
        num_classes: the number of classes, where the data are open; None: what the run file says,
            and `CLASSES_IF_UNKNOWN` if it does not.

    Raises:
        ConfigError: a transform or a layer does not fit, at its line.
    """
    plan, problems = try_to_plan(loaded, num_classes=num_classes)
    if plan is None or problems:
        raise ConfigError.of(problems)
    return plan


def try_to_plan(
    loaded: Loaded, *, num_classes: int | None = None, sizes_count: bool = True
) -> tuple[Plan | None, list[Problem]]:
    """The plan, if one can be made, and all that is wrong with transforms, layers and `init`.

    Where a transform is impossible the network is planned for the size that the transforms lead to,
    else for the one that the architecture is made for.

    Args:
        loaded: the run file.
        num_classes: see `plan_network`.
        sizes_count: false where the transforms are in doubt: nothing is said of sizes then.
    """
    sizes, problems = _sizes(loaded)
    problems = problems if sizes_count else []
    usual = usual_facts(loaded.document, root=("arch",))
    usual_size = (usual.image_height, usual.image_width)
    train = sizes.get("train", sizes.get("eval", usual_size))
    plan, found = _plan_for(loaded, train, num_classes)
    problems += _with_smallest_size(loaded, train, found) if sizes_count else found
    evaluation = sizes.get("eval", train)
    if plan is not None and evaluation != train and sizes_count:
        other, found = _plan_for(loaded, evaluation, num_classes)
        problems += found
        problems += _different_weights(loaded, plan, other) if other is not None else []
    return plan, problems


def unknown_classes(loaded: Loaded) -> str:
    """What to say where the number of classes of a plan is a guess; nothing where it is known."""
    data = loaded.config.data
    has_names = loaded.config.task.form not in UNNAMED
    if not has_names or data_facts(data.name, data.parameters).num_classes is not None:
        return ""
    return f"{CLASSES_IF_UNKNOWN} classes assumed until the images are there"


def head_names(loaded: Loaded, plan: Plan) -> frozenset[str]:
    """The head: the weights whose shapes depend on the number of classes, auxiliary heads' too.

    Raises:
        ConfigError: the number of classes is written into the architecture as a number.
    """
    count = plan.description.facts.num_classes
    assert count is not None
    if count == 0:  # where images are learnt, no weight is of classes
        return frozenset()
    _, height, width = plan.body.in_shape
    plan_of_more, problems = _plan_for(loaded, (height, width), 2 * count + 1)
    if plan_of_more is None or problems:
        message = "the network cannot be given a new head: it is not planned for any classes"
        remedy = "write $num_classes where the architecture says a number of classes"
        raise loaded.error(("arch",), message, remedy)
    return frozenset(_other_shapes(plan, plan_of_more))


def make_network(plan: Plan, *, seed: int, device: str = "cpu") -> Network:
    """Build the network with initial weights that depend on nothing but the run's seed.

    Args:
        device: `cpu`, or `meta` to try all of it without allocating anything.

    Raises:
        ConfigError: an initialisation rule matches nothing or cannot be obeyed, at its line.
    """
    rules = read_init_rules(plan.description)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "weights"))
        net = build(plan, device=device)
        if not rules:
            return net
        try:
            initialise(net, rules, kinds=net.operations)
        except InitRuleError as error:
            problem = plan.description.reader.problem(error.path, *halves(error))
            raise ConfigError.of([problem]) from error
    return net


def image_sizes(loaded: Loaded) -> dict[str, tuple[int, int]]:
    """Height and width of the images that the network sees in `train` and in `eval`.

    Raises:
        ConfigError: a transform is impossible, or the images do not get one size.
    """
    sizes, problems = _sizes(loaded)
    if problems:
        raise ConfigError.of(problems)
    return sizes


def _sizes(loaded: Loaded) -> tuple[dict[str, tuple[int, int]], list[Problem]]:
    """The sizes that are known, such as that of a crop that is too large; and what is wrong."""
    data = loaded.config.data
    known = data_facts(data.name, data.parameters)
    sizes: dict[str, tuple[int, int]] = {}
    problems: list[Problem] = []
    for name, calls in (("train", data.transforms.train), ("eval", data.transforms.eval)):
        items = [(call.name, call.parameters) for call in calls]
        try:
            sizes[name] = planned_size(known.size, items)
            if ZCA in (names := [call.name for call in calls]):
                with in_place(names.index(ZCA), ZCA):
                    refuse_many_values(known.channels, sizes[name])
        except ValueError as error:
            at = (error.position,) if isinstance(error, TransformError) else ()
            said = halves(error, "correct it or move it" if at else "")
            problems.append(loaded.problem(("data", "transforms", name, *at), *said))
            with suppress(ValueError):
                sizes[name] = planned_size(None, items)
    return sizes, problems


def _with_smallest_size(
    loaded: Loaded, size: tuple[int, int], problems: list[Problem]
) -> list[Problem]:
    """Where a map is smaller than a window: from which images on the network can be planned."""

    def fits(side: int) -> bool:
        return _plan_for(loaded, (side, side), None)[0] is not None

    low, high = max(size), 2 * max(size)
    if not any(SMALLER_THAN_WINDOW in each.message for each in problems):
        return problems
    while high <= LARGEST and not fits(high):
        low, high = high, 2 * high
    while high <= LARGEST and high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    remedy = f"make the images {high}x{high} or larger in data.transforms (now {size[0]}x{size[1]})"
    return [
        replace(each, remedy=f"{remedy}, or {each.remedy}")
        if SMALLER_THAN_WINDOW in each.message and high <= LARGEST
        else each
        for each in problems
    ]


def _plan_for(
    loaded: Loaded, size: tuple[int, int], num_classes: int | None
) -> tuple[Plan | None, list[Problem]]:
    data = loaded.config.data
    known = data_facts(data.name, data.parameters)
    count = num_classes or known.num_classes or CLASSES_IF_UNKNOWN + known.numbers
    of_heads = loaded.config.task.outputs(count, numbers=known.numbers)
    if loaded.config.task.form in UNNAMED or not any(of_heads.values() or [1]):
        count = 0
    facts = Facts(count, known.channels, *size, of_heads)
    plan, problems = plan_of(
        loaded.document,
        root=("arch",),
        facts=facts,
        variables=loaded.config.vars,
        task=make_task(loaded),
    )
    return plan, [*problems, *([] if plan is None else _wrong_end(loaded, plan))]


def _wrong_end(loaded: Loaded, plan: Plan) -> Iterator[Problem]:
    """A last layer that the loss is not for."""
    train = loaded.config.train
    wanted = None if train is None else train.loss.entry.options.get("ends_in")
    if train is None or wanted is None:
        return
    nodes = {each.name: each.node for each in plan.body.nodes}
    last = plan.body.nodes[-1].node
    is_pair = last.operation == "with_target"  # a layer of the network is the target
    for name in last.sources if is_pair else (last.name,):
        while name in nodes and nodes[name].operation in _RESHAPING:
            name = nodes[name].sources[0]
        if name not in nodes or nodes[name].operation == wanted:
            continue
        message = f"the loss '{train.loss.name}' is of values from 0 to 1, and those of '{name}'"
        message += " need not be" if is_pair else ", in which the network ends, need not be"
        remedy = f"put `- {wanted}` behind it" if is_pair else f"end the network with `- {wanted}`"
        yield loaded.problem(("train", "loss", "name"), message, remedy)


def plan_of(
    document: Document,
    *,
    root: KeyPath = (),
    facts: Facts,
    variables: Mapping[str, Any] | None = None,
    task: Task = CLASSIFICATION,
) -> tuple[Plan | None, list[Problem]]:
    """The plan of the architecture in a document, if there is one, and all that is wrong with it.

    Args:
        document: an architecture file, or a run file with one below `root`.
        facts: of the images.
        variables: in place of its own `vars`.
        task: which says what the network's outputs must look like.
    """
    description, problems = try_to_describe(document, root=root, facts=facts, variables=variables)
    if description is None:
        return None, problems
    try:
        read_init_rules(description)
    except ConfigError as error:
        problems += error.problems
    try:
        return make_plan(description, task=task), problems
    except ConfigError as error:
        return None, [*problems, *error.problems]


def _different_weights(loaded: Loaded, training: Plan, evaluation: Plan) -> list[Problem]:
    """Evaluation may use another size than training only where the weights do not depend on it."""
    names = _other_shapes(training, evaluation)
    what = f"weights of '{names[0]}'" if names else "outputs of the heads"
    if not names and training.body.out_shape == evaluation.body.out_shape:
        return []
    if not names and not training.description.heads:
        return []
    sizes = ["x".join(map(str, plan.body.in_shape[1:])) for plan in (training, evaluation)]
    message = (
        f"training images become {sizes[0]} and evaluation's {sizes[1]}, but the {what} depend on "
        "the size"
    )
    remedy = "bring both to one size, or end the network in global_avg_pool"
    return [loaded.problem(("data", "transforms", "eval"), message, remedy)]


def _other_shapes(plan: Plan, other: Plan) -> list[str]:
    """Names of what a network stores that has another shape in the other one, or is not there."""
    here, there = (build(each, device="meta").state_dict() for each in (plan, other))
    return [n for n, value in here.items() if n not in there or there[n].shape != value.shape]
