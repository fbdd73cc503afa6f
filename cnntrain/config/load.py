"""Loading a run file: all that is wrong with it is reported at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from cnntrain.arch.description import Facts, is_architecture, try_to_describe, usual_facts
from cnntrain.config.loaded import ARCH_AT, FINETUNE_AT, TRANSFORMS_AT, Loaded
from cnntrain.config.named_plugins import Naming, add_plugins
from cnntrain.config.overrides import Override, apply_override, parse_override
from cnntrain.config.renamed import rename, renamed_override
from cnntrain.config.rules import broken_rules
from cnntrain.config.sections import SECTIONS, collected, read_sections, read_weights
from cnntrain.config.validate import validate
from cnntrain.core.choices import CHOICES
from cnntrain.core.complaints import shown
from cnntrain.core.document import Document, parse_document, read_document
from cnntrain.core.errors import ConfigError
from cnntrain.core.problems import Problem
from cnntrain.core.target_forms import UNNAMED
from cnntrain.data import TRANSFORMS
from cnntrain.data.metadata import facts as data_facts

NAMED = Naming()
"""A run file is the user's, unless another meaning is given."""


def load(file: Path | str, overrides: Sequence[str] = (), *, plugins: Naming = NAMED) -> Loaded:
    """Read and check a run file, all but its network, without importing torch.

    Args:
        file: the run file; see `shipped.resolve` for names of shipped ones.
        overrides: what follows `-s` on the command line, such as `train.epochs=3`.
        plugins: what the names of plugins in it mean.

    Raises:
        ConfigError: everything that is wrong, each with its place.
    """
    return sound(*try_to_load(file, overrides, plugins=plugins))


def try_to_load(
    file: Path | str, overrides: Sequence[str] = (), *, plugins: Naming = NAMED
) -> tuple[Loaded | None, list[Problem]]:
    """The run file, mended where something is wrong with it, and what that is.

    With problems, the result is good for nothing but to find more of them; it is None where too
    much is wrong for that.

    Raises:
        ConfigError: the file cannot be read, or is not YAML.
    """
    document, file = read_document(Path(file)), Path(file)
    return try_to_load_document(document, file=file, overrides=overrides, plugins=plugins)


def load_text(
    text: str, *, file: Path | str, overrides: Sequence[str] = (), plugins: Naming = NAMED
) -> Loaded:
    """As `load`, for the text of a run file, such as the one that a checkpoint holds.

    `file` is what to call it, and where names of files in it start from; it need not exist.
    """
    document, file = parse_document(text, name=str(file)), Path(file)
    return sound(*try_to_load_document(document, file=file, overrides=overrides, plugins=plugins))


def sound(loaded: Loaded | None, problems: Sequence[Problem]) -> Loaded:
    """What `try_to_load` gave, if nothing is wrong with it; else a ConfigError."""
    if problems or loaded is None:
        raise ConfigError.of(problems)
    return loaded


def try_to_load_document(
    document: Document, *, file: Path, overrides: Sequence[str], plugins: Naming = NAMED
) -> tuple[Loaded | None, list[Problem]]:
    """As `try_to_load`, for what has been read already; overrides are put into the document."""
    if not isinstance(document.data, Mapping):
        message = f"a run file must be a mapping (key: value), not {shown(document.data)}"
        message = "the file is empty" if document.data is None else message
        remedy = "see `cnntrain new` for one to start from"
        raise ConfigError(message, remedy=remedy, place=document.places.of(()))
    if is_architecture(document.data):
        raise ConfigError(
            "this is an architecture, not a run file",
            remedy=f"name it in one as `arch: {file}`, or look at it: `cnntrain summary {file}`",
            place=document.places.of((next(iter(document.data)),), key=True),
        )
    problems: list[Problem] = []
    given: list[Override] = []
    for number, text in enumerate(overrides, start=1):
        with collected(problems):
            given.append(renamed_override(parse_override(text, number=number)))
    _apply([o for o in given if len(o.path) == 1], document, problems)
    failed = read_sections(document, file=file, problems=problems)
    problems += rename(document)
    deeper = [o for o in given if len(o.path) > 1 and o.path[0] not in failed]
    _apply(deeper, document, problems)
    before = len(problems)
    added = add_plugins(document, file=file, naming=plugins, problems=problems)
    has_plugins = len(problems) == before  # else what they register would look unknown
    tree = dict(document.data)
    if added:
        tree["plugins"] = [str(plugin.path) for plugin in added]
    tree |= read_weights(document, file=file, problems=problems)
    skip = [(key,) for key in failed]
    run_name = "run" if file.name.startswith("<") else file.stem  # of a mapping, of text
    validated = validate(tree, name=run_name, skip=skip)
    follow = () if has_plugins else tuple(f"unknown {each.kind} '" for each in CHOICES.values())
    problems += [
        document.problem(c) for c in validated.complaints if not c.message.startswith(follow)
    ]
    if validated.config is None:
        return None, problems
    for c in validated.complaints:
        if c.meant is not None:  # what breaks a rule stands where the misspelt key does
            document.places.also(c.path, (*c.path[:-1], c.meant))
    loaded = Loaded(validated.config, document, file, plugins=added or ())
    sections = (TRANSFORMS_AT, FINETUNE_AT)
    doubtful = [path for path in sections if loaded.is_doubtful(path, problems)]
    for problem in broken_rules(loaded):
        follows = any(name in problem.message for name in validated.mended)
        if not follows and not any(loaded.is_doubtful(path, [problem]) for path in doubtful):
            problems.append(problem)
    misspelt = any(len(c.path) == 1 and c.meant in SECTIONS for c in validated.complaints)
    is_whole = has_plugins and not failed and not misspelt  # what is in a section is looked up
    return (loaded if is_whole else None), problems


def unplannable(loaded: Loaded) -> list[Problem]:
    """What is wrong with an architecture, if that is all that planning could find: without torch.

    Nothing where planning would go further: the architecture is sound enough, or the sizes of the
    images, which only torch's side can follow, could be wrong as well.
    """
    data = loaded.config.data
    stated = data_facts(data.name, data.parameters)
    calls = (*data.transforms.train, *data.transforms.eval)
    sizing = any(TRANSFORMS.entry(call.name).options.get("sizing") for call in calls)
    if stated.size is None or sizing or loaded.config.plugins or loaded.config.finetune:
        return []
    usual = usual_facts(loaded.document, root=ARCH_AT)
    classes = stated.num_classes or usual.num_classes
    has_names = loaded.config.task.form not in UNNAMED
    of_heads = loaded.config.task.outputs(classes, numbers=stated.numbers)
    facts = Facts(classes if has_names else 0, stated.channels, *stated.size, of_heads)
    description, problems = try_to_describe(
        loaded.document, root=ARCH_AT, facts=facts, variables=loaded.config.vars
    )
    return problems if description is None else []


def _apply(overrides: Sequence[Override], document: Document, problems: list[Problem]) -> None:
    for override in overrides:
        with collected(problems):
            apply_override(document, override)
