"""Weights & Biases: a run's settings and figures, in its file or on its server."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cnntrain.record import observer
from cnntrain.record.observe import Observer, Record
from cnntrain.record.outbox import Outbox, Point
from cnntrain.train.events import RunDone

if TYPE_CHECKING:
    from wandb import Run

_PRIVATE: Mapping[str, Any] = {
    "save_code": False,
    "disable_code": True,
    "disable_git": True,
    "x_disable_meta": True,  # host, user, command line, processors
    "x_disable_machine_info": True,
    "x_disable_stats": True,  # load of processors and disks
    "x_save_requirements": False,
    "console": "off",
    "init_timeout": 30,
    "login_timeout": 10,
    "finish_timeout": 60,
    "x_transaction_log_flush_interval": 0.1,  # seconds; what is not in the file dies with a kill
}


@observer("wandb", needs=("wandb",), extra="wandb")
class WeightsAndBiases(Observer):
    """Records settings and figures for Weights & Biases: in a file, unless `mode` says online.

    An epoch's figures have the names of metrics.csv; those of reports begin with `step/`, those on
    the test images with `test_`; all are drawn over `step`. No code, no git state, nothing of the
    machine and no printed line is recorded or sent. wandb.json in the run's folder keeps the id: a
    resumed run is the same one and repeats no point. Steps that a rollback undoes stay, and come a
    second time. The process that wandb starts ends with the training.

    Args:
        project: its name.
        entity: the account or team; the usual one, if it is not given.
        mode: offline writes `wandb/offline-run-...` in the working folder, which `wandb sync` sends
            later; online sends, or where that is impossible at the start writes the same file.
    """

    output = "the run of Weights & Biases"
    forgiven = (Exception,)  # of wandb

    def __init__(
        self,
        *,
        project: str = "cnntrain",
        entity: str | None = None,
        mode: Literal["offline", "online"] = "offline",
        run: Path | None,
        settings: Mapping[str, object],
        metrics_jsonl: Path | None,
        admit: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._project, self._entity, self._mode = project, entity, mode
        self._admit = admit
        self._settings = dict(settings)
        self._folder = run
        file = None if run is None else run / "wandb.json"
        self._outbox = Outbox(
            file, place=(project, entity), metrics_jsonl=metrics_jsonl, send=self._send
        )
        self._run: Run | None = None
        self._exit_code = 1
        self._unreached = ""

    def observe(self, event: Record) -> None:
        """Record the event's figures."""
        self._outbox.observe(event)
        if isinstance(event, RunDone):
            self._exit_code = int(event.reason == "stopped")

    def close(self) -> None:
        """Finish the run, and end the process that wandb has started."""
        self._outbox.flush(last=True)
        if self._run is None:
            return
        import wandb

        try:
            self._run.finish(exit_code=self._exit_code)
        finally:
            if self._is_alone:
                wandb.teardown(exit_code=self._exit_code)

    def incomplete(self) -> Mapping[str, str]:
        """What is missing, and why."""
        trouble = self._outbox.trouble or self._unreached
        return {self.output: trouble} if trouble else {}

    def _send(self, points: Sequence[Point]) -> None:
        run, known = self._begun(), self._outbox.known
        for point in points:
            run.log({**point.values, "step": point.step}, step=known["rows"])
            known["rows"] += 1

    def _begun(self) -> Run:
        if self._run is None:
            place = "/".join(["wandb", *([self._entity] if self._entity else []), self._project])
            self._admit(f"{place} ({self._mode})")
            os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # of its own errors, to Sentry
            os.environ.setdefault("WANDB_SILENT", "true")
            import wandb

            self._is_alone = wandb.run is None  # else a notebook has a run of its own
            known = self._outbox.known
            known.setdefault("id", secrets.token_hex(4))
            known.setdefault("rows", 0)  # W&B's own step, which never goes back
            self._outbox.keep()
            try:
                self._run = self._init(self._mode)
            except wandb.Error as error:
                if self._mode == "offline" or not self._is_alone:
                    raise
                wandb.teardown()  # it remembers the attempt
                self._unreached = f"{error}; written for `wandb sync`"
                self._run = self._init("offline")
            self._run.define_metric("*", step_metric="step")
        return self._run

    def _init(self, mode: Literal["offline", "online"]) -> Run:
        import wandb

        return wandb.init(
            project=self._project,
            entity=self._entity,
            id=self._outbox.known["id"],
            name=None if self._folder is None else self._folder.name,
            resume="allow" if mode == "online" else None,
            reinit="create_new",
            config=self._settings,
            settings=wandb.Settings(mode=mode, **_PRIVATE),
        )
