"""Everything that can be said of a run file before an image is read, at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cnntrain.arch.description import Description, try_to_describe, usual_facts
from cnntrain.arch.plan import Plan
from cnntrain.assemble.graphs import refuse_uncapturable
from cnntrain.assemble.make_penalties import make_penalties
from cnntrain.assemble.needed_packages import missing_packages
from cnntrain.assemble.networks import make_network, try_to_plan
from cnntrain.assemble.stages import Stage, stages_of
from cnntrain.assemble.transfer.make_freezing import what_learns
from cnntrain.assemble.transfer.preprocessing import follow_weights
from cnntrain.assemble.transfer.sources import name_rules
from cnntrain.config.load import NAMED, try_to_load
from cnntrain.config.loaded import FINETUNE_AT, TRANSFORMS_AT, Loaded
from cnntrain.config.named_plugins import Naming
from cnntrain.config.rules import broken_rules, unset_variables
from cnntrain.core.errors import CnntrainError, ConfigError
from cnntrain.core.problems import Problem
from cnntrain.runs.contents import of_a_run


@dataclass(frozen=True)
class Checked:
    """A run file in which nothing is wrong, and the plan of its network."""

    loaded: Loaded
    plan: Plan


def check_run_file(
    file: Path | str,
    overrides: Sequence[str] = (),
    *,
    plugins: Naming = NAMED,
    is_of_a_run: bool = False,
) -> Checked:
    """Check keys, values, rules, transforms, layers, shapes, `init` and `finetune`.

    No image is read; of `finetune.weights` only what is needed to know how images are prepared.

    Args:
        file: the run file.
        overrides: what follows `-s` on the command line.
        plugins: what the names of plugins in it mean.
        is_of_a_run: it is the config.yaml of a run, which may be anybody's.

    Raises:
        ConfigError: everything that is wrong, each with its place.
        CheckpointError: nothing else is wrong, and the weights are missing or damaged.
    """
    loaded, problems = try_to_load(file, overrides, plugins=plugins)
    if is_of_a_run and loaded is not None:
        loaded = of_a_run(loaded, overrides)
    return check_loaded(loaded, problems)


def check_loaded(
    loaded: Loaded | None,
    problems: list[Problem],
    *,
    needs_data: bool = True,
    found_good: Callable[[Loaded], None] = lambda _: None,
) -> Checked:
    """As `check_run_file`, for what `try_to_load` gave.

    Args:
        loaded, problems: what it gave.
        needs_data: where the data are counts, too.
        found_good: called where nothing is wrong with the network, whatever else is.
    """
    plan = None
    if loaded is not None:
        problems += unset_variables(loaded) if needs_data else ()
        starts_well = not loaded.is_doubtful(FINETUNE_AT, problems)
        if starts_well:
            with _collected(problems):
                loaded = follow_weights(loaded)
        sized = not any(loaded.is_doubtful(at, problems) for at in (FINETUNE_AT, TRANSFORMS_AT))
        plan, found = try_to_plan(loaded, sizes_count=sized)
        apart = [*problems, *missing_packages(loaded)]
        problems[:] = [*apart, *found, *_softmax_problems(loaded, plan)]
        if plan is not None and not found and starts_well:
            _try_to_build(loaded, plan, problems)
            if problems == apart:
                _try_stages(loaded, plan, problems)
            if sized and problems == apart:
                found_good(loaded)
    if loaded is None or plan is None or problems:
        raise ConfigError.of(problems)
    return Checked(loaded, plan)


def _try_stages(loaded: Loaded, plan: Plan, problems: list[Problem]) -> None:
    """Each stage of pre-training is checked as the run file that it is."""
    stages: Sequence[Stage] = ()
    with _collected(problems):
        stages = stages_of(loaded, plan)
    for number, stage in enumerate(stages):
        with _collected(problems):
            checked = check_loaded(stage.loaded, broken_rules(stage.loaded))
            noise = f"{stage.name}_noise"
            node = next((n for n in checked.plan.body.nodes if n.name == noise), None)
            if node and (node.parameters or node.buffers or node.in_shapes != (node.out_shape,)):
                message = f"'{node.node.operation}' is not noise: it has weights or changes shapes"
                at = ("pretrain", "stages", number, "noise")
                remedy = "choose masking_noise, gaussian_noise, dropout or one of your own"
                raise loaded.error(at, message, remedy)


def _try_to_build(loaded: Loaded, plan: Plan, problems: list[Problem]) -> None:
    with _collected(problems):
        make_penalties(loaded, make_network(plan, seed=loaded.config.seed, device="meta"))
    with _collected(problems):
        refuse_uncapturable(loaded, plan)
    with _collected(problems):
        what_learns(loaded, plan=plan)
    if loaded.config.finetune is not None:
        with _collected(problems):
            name_rules(loaded)


@contextmanager
def _collected(problems: list[Problem]) -> Iterator[None]:
    """Add what a block complains of; another error counts only if there is nothing else."""
    try:
        yield
    except ConfigError as error:
        problems += error.problems
    except CnntrainError:
        if not problems:
            raise


def _softmax_problems(loaded: Loaded, plan: Plan | None) -> Iterator[Problem]:
    """A softmax or sigmoid at the end of the network, or of a head: the loss applies its own."""
    train = loaded.config.train
    if train is None or not train.loss.applies:
        return
    description = plan.description if plan is not None else _description(loaded)
    if description is None:
        return
    for nodes in (description.nodes, *(head.nodes for head in description.aux)):
        last = nodes[-1]
        while last.body:
            last = last.body[-1]
        if last.operation == train.loss.applies:
            own = f"{train.loss.name} applies a {train.loss.applies}"
            message = f"the network ends in '{last.name}', but {own}"
            yield last.problem(message, "remove this layer: the loss takes the scores before it")


def _description(loaded: Loaded) -> Description | None:
    usual = usual_facts(loaded.document, root=("arch",))
    variables = loaded.config.vars
    return try_to_describe(loaded.document, root=("arch",), facts=usual, variables=variables)[0]
