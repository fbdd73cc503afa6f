"""Opening a trained network from Python, as `cnntrain.load`."""

from __future__ import annotations

import os

from cnntrain.config.from_python import Changes, as_overrides
from cnntrain.model.model import Model
from cnntrain.model.opening import open_model
from cnntrain.train import undisturbed


def load(run: str | os.PathLike[str], *, overrides: Changes = ()) -> Model:
    """A trained network with its classes and its preprocessing, on its device.

    It has `predict`, `evaluate`, `features` and `logits`; `net` is the `nn.Module`.

    Args:
        run: a run's folder, `runs/NAME` for its latest, a checkpoint file, or a run file (or the
            name of a shipped one) that names weights.
        overrides: changes of single values, such as `{"compute.device": "cpu"}`.

    Raises:
        CheckpointError: the weights are missing, damaged or of another network.
        ConfigError: the run file names none, or the device is not there.
        UsageError: nothing is there, or a change is not allowed.
    """
    with undisturbed():
        return open_model(os.fspath(run), overrides=as_overrides(overrides))
