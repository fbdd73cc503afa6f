"""From what a run file chooses by name to the thing itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cnntrain.config.choice import Chosen
from cnntrain.config.load import Loaded
from cnntrain.core.choices import ChoiceError
from cnntrain.core.complaints import dotted
from cnntrain.core.document import KeyPath
from cnntrain.core.errors import CnntrainError, ConfigError
from cnntrain.tasks.protocol import Task


def make_choice(choice: Chosen, *, loaded: Loaded, path: KeyPath, given: Mapping[str, Any]) -> Any:
    """Make what was chosen, with its own keys and what follows from the run.

    Args:
        choice: a section that chooses, or an item of a list of calls.
        loaded: the run file.
        path: where the section is in it.
        given: what may be filled in; what of it is asked for is.

    Raises:
        ConfigError: it cannot be made so, at its line.
    """
    make = choice.catalogue.load(choice.name)
    filled = {name: given[name] for name in choice.entry.filled}
    try:
        return make(**choice.parameters, **filled)
    except CnntrainError:
        raise
    except ValueError as error:
        message, _, remedy = str(error).partition("; ")
        at = (*path, error.parameter) if isinstance(error, ChoiceError) else path
        remedy = remedy or f"change {dotted('', path)}"
        raise ConfigError.of([loaded.problem(at, message, remedy)]) from error


def make_task(loaded: Loaded) -> Task:
    """What the run file's network is for.

    Raises:
        ConfigError: the task cannot be made with its parameters.
    """
    made: Task = make_choice(loaded.config.task, loaded=loaded, path=("task",), given={})
    return made
