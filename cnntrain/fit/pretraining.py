"""Pre-training: each stage is a run in the folder `pretrain` of its run, trained by the one loop.

A stage that is complete is not trained again and one that was cut off is resumed, so the whole is
resumed from wherever it was stopped. When the last stage is done, the run itself begins with the
weights of its layers, as if no stage had been trained in this process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, Protocol

from cnntrain.assemble.prepare import Prepared
from cnntrain.assemble.stages import stages_of
from cnntrain.assemble.transfer.encoder import with_encoder
from cnntrain.checkpoint import seed_randomness
from cnntrain.core.seeding import derive_seed
from cnntrain.fit.to_the_end import Ended
from cnntrain.runs.folder import RunFolder
from cnntrain.runs.locate import FoundRun
from cnntrain.runs.records import ending
from cnntrain.runs.same_run import CHANGEABLE, changeable
from cnntrain.show.progress import announce
from cnntrain.train import RunDone


class StageOutcome(Protocol):
    """How the run of a stage ended."""

    @property
    def done(self) -> RunDone | None:
        """The last event."""

    @property
    def exit_code(self) -> int:
        """Of the process."""


def pretrained(
    prepared: Prepared,
    run: RunFolder,
    *,
    begin: Callable[..., StageOutcome],
    go_on: Callable[..., StageOutcome],
    overrides: Sequence[str] = (),
    **how: Any,
) -> Prepared | Ended:
    """The training with what its stages found, once they are all done; as it is without stages.

    Args:
        prepared: the training, whose data are closed if it does not begin.
        run: its folder, which is locked.
        begin, go_on: `fit` and `resume`.
        overrides: of the command line; those that a run may change hold for resumed stages, too.
        how: what is said, and who listens, as in `fit`.

    Returns:
        The training, or how a stage ended that was stopped.
    """
    with _closed_on_errors(prepared):
        stages = stages_of(prepared.loaded, prepared.plan, folder=run.stages.absolute())
        for number, stage in enumerate(stages, start=1):
            place = RunFolder(run.stages / stage.name)
            if ending(place) is not None:
                continue
            announce(f"pre-training, stage {number} of {len(stages)}: up to '{stage.name}'")
            if place.last.is_file() or place.previous.is_file():
                ended = go_on(place.path, overrides=_lasting(overrides), **how)
            else:
                ended = begin(stage.loaded, make=lambda place=place: place, **how)
            if ended.exit_code or ended.done is None or ended.done.reason == "stopped":
                announce(f"to continue: cnntrain fit --resume {run.path}")
                prepared.data.close()
                return Ended(ended.done, None, ended.exit_code)
        if not stages:
            return prepared
        last = stages[-1]
        found = FoundRun(RunFolder(run.stages / last.name))
        prepared = with_encoder(prepared, found, layers=last.encoder)
        assert prepared.start is not None
        run.write_json(run.weights, asdict(prepared.start))
        # as `prepare` left it: whether stages were trained before must not show
        seed_randomness(derive_seed(prepared.loaded.config.seed, "training"))
        announce(f"all layers, from the weights of stage {len(stages)}")
        return prepared


def is_pretraining(run: RunFolder) -> bool:
    """Whether a run has begun its stages, and not yet what follows them."""
    return run.has_stages and not (run.last.is_file() or run.previous.is_file())


def _lasting(overrides: Sequence[str]) -> list[str]:
    """Those that do not change what a stage learns."""
    keys = [(text, text.partition("=")[0].strip().split(".")) for text in overrides]
    return [text for text, key in keys if key[0] != "train" and changeable(key, CHANGEABLE)]


@contextmanager
def _closed_on_errors(prepared: Prepared) -> Iterator[None]:
    try:
        yield
    except BaseException:
        prepared.data.close()
        raise
