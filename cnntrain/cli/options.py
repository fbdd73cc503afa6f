"""Arguments and options that several commands share."""

from __future__ import annotations

import itertools
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cnntrain.cli import output
from cnntrain.core.errors import ConfigError, UsageError
from cnntrain.show.words import counted

if TYPE_CHECKING:
    from cnntrain.arch.plan import Plan
    from cnntrain.arch.table import Learning
    from cnntrain.assemble.checked import Checked
    from cnntrain.config.loaded import Loaded
    from cnntrain.core.problems import Problem
    from cnntrain.model.model import Model
    from cnntrain.model.opening import Use


def _settings(given: list[str] | None) -> list[str] | None:
    """Refuse `-s KEY VALUE`, and KEY=VALUE without -s: else VALUE or KEY is blamed, as a path."""
    from cnntrain.config.schema import RunConfig

    for before, word in itertools.pairwise(sys.argv[1:]):
        if before in (given or ()) and "=" not in before and not word.startswith("-"):
            setting = shlex.quote(f"{before}={word.lstrip('=')}")
            message = f"a space stands for the '=' in -s {before} {word}"
            raise UsageError(message, remedy=f"write -s {setting}")
        key, equals, _ = word.partition("=")
        is_key = equals and key.split(".")[0] in RunConfig.model_fields
        if is_key and not before.startswith("-") and not Path(word).exists():
            raise UsageError(f"{word} stands without -s", remedy=f"write -s {shlex.quote(word)}")
    return given


RunFile = Annotated[
    str, typer.Argument(metavar="FILE", help="A run file, or the name of a shipped one.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        metavar="KEY=VALUE",
        callback=_settings,
        help="Change one value, such as train.optimizer.lr=0.02. Repeatable.",
    ),
]
Plugins = Annotated[
    list[Path] | None,
    typer.Option(
        "--plugin",
        metavar="FILE",
        help="Use this file's code, too: you trust it. A run of another person's may ask for one. "
        "Repeatable.",
    ),
]
Run = Annotated[
    Path,
    typer.Argument(
        metavar="RUN", help="A run's folder, runs/NAME for its latest, or a checkpoint file."
    ),
]
TRAINED = (
    "A run's folder, runs/NAME for its latest, a checkpoint file, or a run file (or the name of a "
    "shipped one) whose finetune.weights names weights."
)
Trained = Annotated[Path, typer.Argument(metavar="RUN", help=TRAINED)]
NETWORK = (
    "An architecture file, a run file, the name of a shipped one, a run's folder or a checkpoint."
)
Classes = Annotated[
    int | None, typer.Option(min=1, help="Number of classes, for an architecture file.")
]
Size = Annotated[
    int | None, typer.Option(min=1, help="Image side length, for an architecture file.")
]
Channels = Annotated[
    int | None, typer.Option(min=1, help="1 for grey images, for an architecture file.")
]
Batch = Annotated[
    int, typer.Option(min=1, help="Images in a batch, for the memory of the activations.")
]
Depth = Annotated[
    int | None, typer.Option(min=1, help="Levels to show: 1 is the outermost; default: all.")
]
Markdown = Annotated[bool, typer.Option("--markdown", help="Print a table in Markdown.")]
Layer = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="A layer by its name in `cnntrain summary RUN`."),
]
SplitName = Annotated[
    Literal["train", "validation", "test"] | None,
    typer.Option("--split", help="Default: test if there is one, else validation."),
]
Out = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="A .png or .svg file. Default: a name derived from the request, "
        "e.g. maps-conv2-5.png.",
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite the file.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


def network_named(
    name: str,
    *,
    overrides: list[str] | None = None,
    plugins: list[Path] | None = None,
    classes: int | None = None,
    size: int | None = None,
    channels: int | None = None,
) -> tuple[Plan, Learning | None]:
    """The plan of the network that is meant (see `NETWORK`), and what its run file lets learn.

    `overrides` are for a run file; classes, size and channels for an architecture file, in place of
    its own.

    Raises:
        UsageError: there is nothing of that name, or an option is not for its kind of file.
        ConfigError: what is there is wrong, at its line.
    """
    path = Path(name)
    images = {"--classes": classes, "--size": size, "--channels": channels}
    asked = [option for option, value in images.items() if value is not None]
    if path.is_dir() or path.suffix == ".pt":
        _refuse([*asked, *(["-s"] if overrides else [])], "a run is as it was trained")
        from cnntrain.assemble.transfer.make_freezing import what_learns
        from cnntrain.model.opening import plan_of_run

        loaded, plan = plan_of_run(path, plugins=plugins or [])
        tell_notes([*loaded.notes, *_stages(loaded, run=name)])
        return plan, what_learns(loaded, plan=plan)
    from cnntrain.arch.description import is_architecture
    from cnntrain.config import shipped
    from cnntrain.config.load import load
    from cnntrain.config.named_plugins import Naming, add_plugin
    from cnntrain.core.document import read_document
    from cnntrain.core.trust import name_plugin

    file = shipped.find_network(name)
    document = read_document(file)
    if not is_architecture(document.data):
        _refuse(asked, "a run file's images are those of its `data`")
        loaded = load(file, overrides or [], plugins=Naming.by_user(plugins or []))
        from cnntrain.assemble.networks import plan_network, unknown_classes
        from cnntrain.assemble.transfer.make_freezing import what_learns
        from cnntrain.assemble.transfer.preprocessing import follow_weights

        loaded = follow_weights(loaded)
        if unknown := unknown_classes(loaded):
            output.note(f"{name}: {unknown}")
        plan = plan_network(loaded)
        tell_notes(_stages(loaded, run="RUN"))
        return plan, what_learns(loaded, plan=plan)
    _refuse(["-s"] if overrides else [], "for an architecture file change the file")
    for each in plugins or []:
        add_plugin(name_plugin(each))
    from cnntrain.assemble.build_network import plan_architecture

    plan = plan_architecture(
        document, num_classes=classes, image_channels=channels, image_size=size
    )
    return plan, None


def _stages(loaded: Loaded, *, run: str) -> list[str]:
    """That layers are pre-trained with decoders, which are no part of the network."""
    section = loaded.config.pretrain
    if section is None:
        return []
    ends = [stage.to for stage in section.stages]
    return [
        f"pre-trained in {counted(len(ends), 'stage')}, up to {', '.join(ends)}, "
        f"each with a decoder that is not shown: cnntrain summary {run}/pretrain/{ends[0]}"
    ]


def _refuse(options: list[str], reason: str) -> None:
    if options:
        raise UsageError(f"{' and '.join(options)}: {reason}", remedy="leave it out")


def opened(
    run: Path, *, overrides: list[str] | None, plugins: list[Path] | None, use: Use | None = None
) -> Model:
    """A trained network; what is to be said of its run is said.

    For what it raises see `cnntrain.model.opening.open_model`.
    """
    from cnntrain.model.opening import EVALUATE, open_model

    changes = overrides or []
    model = open_model(run, overrides=changes, plugins=plugins or [], use=use or EVALUATE)
    tell_notes(model.loaded.notes)
    return model


def tell_notes(notes: Sequence[str]) -> None:
    """Say what is to be said of a run: which it is, which weights, and about its plugins."""
    for note in notes:
        output.note(f"note: {note}")


def checked_run_file(name: str, overrides: list[str], *, plugins: Sequence[Path] = ()) -> Checked:
    """A run file that is right, with the plan of its network; torch is imported if it is needed.

    Raises:
        ConfigError: everything that is wrong with it.
    """
    return checked_as_loaded(*tried_run_file(name, overrides, plugins=plugins))


def tried_run_file(
    name: str, overrides: list[str], *, plugins: Sequence[Path] = ()
) -> tuple[Loaded | None, list[Problem]]:
    """A run file as far as it can be read, and what is wrong with it but for its network."""
    from cnntrain.config import shipped
    from cnntrain.config.load import try_to_load
    from cnntrain.config.named_plugins import Naming

    return try_to_load(shipped.resolve(name), overrides, plugins=Naming.by_user(plugins))


def checked_as_loaded(loaded: Loaded | None, problems: list[Problem]) -> Checked:
    """The second half of `checked_run_file`, for what the first one gave."""
    from cnntrain.assemble.needed_packages import missing_packages
    from cnntrain.config.known_networks import is_known, remember
    from cnntrain.config.load import unplannable
    from cnntrain.config.loaded import TRANSFORMS_AT
    from cnntrain.config.rules import unset_variables

    beyond_planning = [] if loaded is None else unplannable(loaded)
    if loaded is None or beyond_planning:
        raise ConfigError.of([*problems, *beyond_planning])
    if problems and not loaded.is_doubtful(TRANSFORMS_AT, problems) and is_known(loaded):
        problems += [*unset_variables(loaded), *missing_packages(loaded)]
        raise ConfigError.of(problems)
    from cnntrain.assemble.checked import check_loaded

    return check_loaded(loaded, problems, found_good=remember)
