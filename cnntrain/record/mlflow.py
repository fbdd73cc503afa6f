"""MLflow: a run's settings, figures and state in its database or on its server."""

from __future__ import annotations

import logging
import os
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cnntrain.core.choices import ChoiceError
from cnntrain.core.interrupts import Interrupted
from cnntrain.record import observer
from cnntrain.record.observe import Observer, Record
from cnntrain.record.outbox import Outbox, Point
from cnntrain.train.events import RunDone

if TYPE_CHECKING:
    from mlflow import MlflowClient

_BOUNDS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # else importing it reports to its makers
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",  # seconds; its own default is 120, seven times
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # the outbox tries again
}
_LONGEST = 500  # characters of a setting, what servers of all versions take


@observer("mlflow", needs=("mlflow", "sqlalchemy", "alembic"), extra="mlflow")
class MLflow(Observer):
    """Sends settings, figures and the path of the weights to MLflow; nothing without its server.

    An epoch's figures have the names of metrics.csv, at its step; those of reports begin with
    `step/`, those on the test images with `test_`. The state is FINISHED, KILLED (Ctrl-C, SIGTERM)
    or FAILED. mlflow.json in the run's folder keeps the id: a resumed run is the same one and
    repeats no point. Steps that a rollback undoes stay there, and come a second time. A server that
    does not answer is tried again with pauses, 5 % of the time at most, and said once.

    Args:
        tracking_uri: a database such as sqlite:///mlflow.db (a file in the working folder, which
            `mlflow ui` shows), or a server, http://....
        experiment: its name; that of the run file, if it is not given.
        artifacts: also copy best.pt (last.pt without validation images) and config.yaml there.
    """

    output = "MLflow's run"
    forgiven = (Exception,)  # of MLflow, SQLAlchemy and requests

    def __init__(
        self,
        *,
        tracking_uri: str = "sqlite:///mlflow.db",
        experiment: str | None = None,
        artifacts: bool = False,
        run: Path | None,
        settings: Mapping[str, object],
        metrics_jsonl: Path | None,
        admit: Callable[[str], None] = lambda _: None,
    ) -> None:
        place, is_file, name = tracking_uri.partition("sqlite:///")
        if "://" not in tracking_uri or tracking_uri.startswith("file:"):
            what = f"MLflow no longer takes a folder ({tracking_uri})"
            raise ChoiceError("tracking_uri", f"{what}; write sqlite:///mlflow.db or http://...")
        self._uri = f"sqlite:///{Path(name).resolve()}" if is_file and not place else tracking_uri
        self._artifacts, self._run = artifacts, run
        self._experiment = experiment or str(settings["name"])
        self._settings = {name: str(value)[:_LONGEST] for name, value in settings.items()}
        file = None if run is None else run / "mlflow.json"
        self._outbox = Outbox(
            file,
            place=(tracking_uri, self._experiment),
            metrics_jsonl=metrics_jsonl,
            send=self._send,
        )
        self._admit = admit
        self._client: MlflowClient | None = None
        self._id = ""
        self._state = "FAILED"

    def observe(self, event: Record) -> None:
        """Send the event's figures."""
        self._outbox.observe(event)
        if isinstance(event, RunDone):
            self._state = "KILLED" if event.reason == "stopped" else "FINISHED"

    def close(self) -> None:
        """Send what waits, and how the run ended."""
        if isinstance(sys.exception(), Interrupted):
            self._state = "KILLED"
        self._outbox.flush(last=True)
        if self._client is None or self._outbox.trouble:
            return
        if self._run is not None:
            best, last = (self._run / "checkpoints" / name for name in ("best.pt", "last.pt"))
            weights = best if best.is_file() else last
            self._client.set_tag(self._id, "checkpoint", str(weights.resolve()))
            for path in (self._run / "config.yaml", weights) if self._artifacts else ():
                if path.is_file():
                    self._client.log_artifact(self._id, str(path))
        self._client.set_terminated(self._id, self._state)

    def incomplete(self) -> Mapping[str, str]:
        """What MLflow did not take, and why."""
        return {self.output: self._outbox.trouble} if self._outbox.trouble else {}

    def _send(self, points: Sequence[Point]) -> None:
        from mlflow.entities import Metric

        client = self._connected()
        now = round(time.time() * 1000)
        metrics = [
            Metric(name, value, now, point.step)
            for point in points
            for name, value in point.values.items()
        ]
        if metrics:
            client.log_batch(self._id, metrics=metrics, synchronous=True)

    def _connected(self) -> MlflowClient:
        if self._client is None:
            for name, value in _BOUNDS.items():
                os.environ.setdefault(name, value)  # read at the import and at each request
            with warnings.catch_warnings():
                # MLflow 3.17 declares its tables in a way that SQLAlchemy 2.1 gives up
                warnings.filterwarnings("ignore", message="The ``noload`` loader strategy")
                from mlflow import MlflowClient  # 2 s

                logging.getLogger("mlflow").setLevel(logging.WARNING)
                uri = str(self._outbox.known.get("uri", self._uri))
                self._admit(uri)
                client = MlflowClient(tracking_uri=uri)
                self._begin(client)
            self._client = client
        return self._client

    def _begin(self, client: MlflowClient) -> None:
        """The run of before, or a new one."""
        from mlflow.entities import Param

        known, before = self._outbox.known, {}
        if "id" not in known:
            found = client.get_experiment_by_name(self._experiment)
            number = found.experiment_id if found else client.create_experiment(self._experiment)
            name = None if self._run is None else self._run.name
            known |= {"id": client.create_run(number, run_name=name).info.run_id, "uri": self._uri}
            self._outbox.keep()
        else:
            client.update_run(known["id"], status="RUNNING")
            before = client.get_run(known["id"]).data.params
        self._id = known["id"]
        for name, value in self._settings.items():
            if before.get(name, value) != value:  # MLflow changes no parameter
                client.set_tag(self._id, f"resumed.{name}", value)
        new = [Param(name, value) for name, value in self._settings.items() if name not in before]
        for first in range(0, len(new), 100):  # MLflow takes no more at once
            client.log_batch(self._id, params=new[first : first + 100], synchronous=True)
        if self._run is not None:
            client.set_tag(self._id, "folder", str(self._run.resolve()))
