"""Layers that were trained before, by their names: what a stage of pre-training found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cnntrain.assemble.prepare import Prepared
from cnntrain.assemble.transfer.start_from import Start
from cnntrain.core.errors import CheckpointError
from cnntrain.core.patterns import covered
from cnntrain.runs.contents import contents_to_evaluate, weights_in
from cnntrain.runs.locate import FoundRun


def with_encoder(prepared: Prepared, found: FoundRun, *, layers: Sequence[str]) -> Prepared:
    """The training, which now begins with the weights that these layers have in a run.

    Args:
        prepared: not trained yet; its network is changed, and the average of its weights.
        found: the run, whose best weights are taken.
        layers: outermost names; all that is in them is taken.

    Raises:
        CheckpointError: the run has no sound checkpoint, or other layers.
    """
    opened = contents_to_evaluate(found)
    _, weights = weights_in(opened.state, path=opened.path)
    learner = prepared.learner
    own = learner.model.state_dict()
    wanted = [name for name in own if covered(layers, name)]
    for name in wanted:
        if name not in weights or weights[name].shape != own[name].shape:
            message = f"{opened.path} does not hold the weights '{name}' of this network"
            raise CheckpointError(message, remedy=_remedy(opened.path))
    chosen = {name: weights[name] for name in wanted}
    for net in (learner.model, *(() if learner.ema is None else (learner.ema.model,))):
        net.load_state_dict(chosen, strict=False)
    start = Start(
        source=str(opened.path),
        read="",
        loaded=tuple(wanted),
        new=(),
        skipped={},
        missing=tuple(name for name in own if name not in chosen),
        left_over=tuple(name for name in weights if name not in chosen),
        notes=opened.notes,
    )
    return replace(prepared, start=start)


def _remedy(path: Path) -> str:
    return f"delete {path.parent.parent}, so that it is trained again"
