"""The doctor's examination from Python, as `cnntrain.diagnose`."""

from __future__ import annotations

from collections.abc import Sequence

from cnntrain.config.from_python import Changes, Source, as_overrides
from cnntrain.diagnose.diagnose import examine
from cnntrain.diagnose.doctor import Diagnosis


def diagnose(
    file_or_run: Source, *, checks: Sequence[str] = (), overrides: Changes = ()
) -> Diagnosis:
    """Find out why a network does not learn; nothing is printed, written or changed.

    Args:
        file_or_run: a run file, the name of a shipped one, its text, or its contents as a mapping;
            or a run's folder, or a checkpoint.
        checks: names of checks, such as `gradients`; none is all of them.
        overrides: changes of single values, such as `{"train.optimizer.lr": 0.1}`.

    Returns:
        The `findings`, causes first, each with headline, evidence and remedy; and the `reports` of
        all checks, with their tables and pictures.

    Raises:
        UsageError: there is no such check.
        ConfigError, DataError, CheckpointError: what is to be examined cannot be opened.
    """
    return examine(file_or_run, checks=checks, overrides=as_overrides(overrides))
