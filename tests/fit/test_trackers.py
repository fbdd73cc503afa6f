"""MLflow and Weights & Biases, in their local modes, compared with metrics.csv figure by figure."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import socket
import struct
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cnntrain.assemble.checked import check_run_file
from cnntrain.core.errors import ConfigError
from cnntrain.fit.fit import Outcome, resume

Train = Callable[..., Outcome]
RunFile = Callable[..., Path]
BLOCK = 32_768  # of LevelDB's log format, in which wandb writes
pytestmark = pytest.mark.usefixtures("own_place")
with_mlflow = pytest.mark.skipif(
    importlib.util.find_spec("mlflow") is None, reason="mlflow-skinny is not installed"
)
with_wandb = pytest.mark.skipif(
    importlib.util.find_spec("wandb") is None, reason="wandb is not installed"
)


def in_csv(run: Path) -> list[dict[str, float]]:
    """The rows of metrics.csv, empty cells left out."""
    with (run / "metrics.csv").open() as file:
        return [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]


def reported(run: Path) -> list[dict[str, Any]]:
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [line for line in lines if line["type"] == "step"]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An empty one: making it takes MLflow 5 s."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"


def mlflow_run(run: Path) -> tuple[Any, list[dict[str, float]], list[int]]:
    """The run as MLflow's client reads it: it, the epochs' figures, the steps of reports."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The ``noload`` loader strategy")
        from mlflow import MlflowClient

        known = json.loads((run / "mlflow.json").read_text())
        client = MlflowClient(tracking_uri=known["uri"])
    found = client.get_run(known["id"])
    rows: dict[int, dict[str, float]] = {}
    for name in found.data.metrics:
        if "/" not in name and not name.startswith("test_"):
            for point in client.get_metric_history(known["id"], name):
                row = rows.setdefault(point.step, {"step": point.step})
                assert name not in row, f"{name} of step {point.step} twice"
                row[name] = point.value
    reports = client.get_metric_history(known["id"], "step/loss")
    return found, [rows[step] for step in sorted(rows)], sorted(p.step for p in reports)


@with_mlflow
def test_mlflow_has_what_metrics_csv_has(
    run_file: RunFile, train_tiny: Train, database: str, tmp_path: Path
) -> None:
    observers = [{"mlflow": {"tracking_uri": database, "experiment": "tried", "artifacts": True}}]
    file = run_file({"train.epochs": 2, "record.observers": observers})
    run = train_tiny(file, out=tmp_path / "run").run.path
    found, rows, steps = mlflow_run(run)
    assert rows == in_csv(run)
    assert steps == list(range(1, 11))  # 5 steps in an epoch, each reported
    summary = json.loads((run / "summary.json").read_text())
    assert found.data.metrics["test_loss"] == summary["test"]["loss"]
    assert found.info.status == "FINISHED"
    assert found.data.params["train.optimizer.lr"] == "0.05"
    assert found.data.tags["checkpoint"] == str(run / "checkpoints" / "best.pt")
    kept = Path(found.info.artifact_uri)
    assert (kept / "best.pt").read_bytes() == (run / "checkpoints" / "best.pt").read_bytes()


@with_mlflow
def test_a_resumed_run_is_the_same_one_in_mlflow(
    run_file: RunFile, train_tiny: Train, database: str, tmp_path: Path
) -> None:
    observers = [{"mlflow": {"tracking_uri": database}}]
    file = run_file({"train.epochs": 2, "record.observers": observers})
    run = train_tiny(file, out=tmp_path / "run", stop=7).run.path
    stopped, _, _ = mlflow_run(run)
    assert stopped.info.status == "KILLED"
    train_tiny(resumed=run, overrides=["train.epochs=3"])
    found, rows, steps = mlflow_run(run)
    assert found.info.run_id == stopped.info.run_id
    assert found.info.status == "FINISHED"
    assert rows == in_csv(run)
    assert steps == list(range(1, 16))
    assert found.data.params["train.epochs"] == "2"  # MLflow changes no parameter
    assert found.data.tags["resumed.train.epochs"] == "3"


@with_mlflow
def test_a_training_that_fails_is_failed_in_mlflow(
    run_file: RunFile, train_tiny: Train, database: str, tmp_path: Path
) -> None:
    observers = [{"mlflow": {"tracking_uri": database}}]
    file = run_file({"train.optimizer.lr": 1e30, "record.observers": observers})
    with pytest.raises(Exception, match="not finite"):
        train_tiny(file, out=tmp_path / "run")
    assert mlflow_run(tmp_path / "run")[0].info.status == "FAILED"


@with_mlflow
def test_a_server_that_does_not_answer_does_not_end_the_training(
    run_file: RunFile,
    train_tiny: Train,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with socket.create_server(("127.0.0.1", 0)) as server:  # it accepts, and says nothing
        uri = f"http://127.0.0.1:{server.getsockname()[1]}"
        observers = [{"mlflow": {"tracking_uri": uri}}]
        began = time.monotonic()
        ended = train_tiny(run_file({"record.observers": observers}), out=tmp_path / "run")
    assert time.monotonic() - began < 8  # two attempts of a second, and the import
    assert ended.done is not None
    assert ended.done.reason == "finished"
    assert capfd.readouterr().err.count("MLflow's run is incomplete") == 1


def test_a_folder_for_mlflow_is_refused(run_file: RunFile, train_tiny: Train) -> None:
    pytest.importorskip("mlflow", reason="mlflow-skinny is not installed")
    observers = [{"mlflow": {"tracking_uri": "mlruns"}}]
    with pytest.raises(ConfigError, match="no longer takes a folder") as raised:
        train_tiny(run_file({"record.observers": observers}))
    assert "tiny.yaml" in str(raised.value.problems[0].place)
    assert not Path("runs/tiny/latest").exists()


def wandb_records(file: Path) -> Iterator[Any]:
    """The records of a .wandb file: 7 bytes of head, then LevelDB's log format."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, part = file.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if BLOCK - at % BLOCK < 7:
            at += BLOCK - at % BLOCK
        _, length, kind = struct.unpack_from("<IHB", data, at)
        part += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield Record.FromString(part)
            part = b""


def wandb_rows(run: Path) -> tuple[set[str], list[dict[str, float]]]:
    """The ids of the runs, and their rows without wandb's own columns but `_step`."""
    ids, rows = set(), []
    for file in sorted(run.parent.glob("wandb/offline-run-*/*.wandb")):
        for record in wandb_records(file):
            if record.HasField("run"):
                ids.add(record.run.run_id)
            if record.HasField("history"):
                items = {i.nested_key[0]: json.loads(i.value_json) for i in record.history.item}
                rows.append({k: v for k, v in items.items() if k not in ("_timestamp", "_runtime")})
    return ids, rows


def check_wandb(run: Path) -> None:
    ids, rows = wandb_rows(run)
    assert ids == {json.loads((run / "wandb.json").read_text())["id"]}
    assert [row.pop("_step") for row in rows] == list(range(len(rows)))
    assert [row for row in rows if "epoch" in row] == in_csv(run)
    steps = [(row["step"], row["step/loss"]) for row in rows if "step/loss" in row]
    assert steps == [(line["step"], line["loss"]) for line in reported(run)]


@with_wandb
def test_wandb_has_what_metrics_csv_has_also_after_a_resume(
    run_file: RunFile, train_tiny: Train, tmp_path: Path
) -> None:
    file = run_file({"train.epochs": 2, "record.observers": ["wandb"]})
    run = train_tiny(file, out=tmp_path / "run", stop=7).run.path
    time.sleep(1.1)  # wandb names its folders by the second
    train_tiny(resumed=run)
    check_wandb(run)
    (summary,) = [row for row in wandb_rows(run)[1] if "test_loss" in row]
    assert summary["test_loss"] == json.loads((run / "summary.json").read_text())["test"]["loss"]
    assert not any(map(lives, service_ids(os.getpid())))
    kinds = {
        record.WhichOneof("record_type")
        for file in run.parent.glob("wandb/*/*.wandb")
        for record in wandb_records(file)
    }
    assert not kinds & {"environment", "stats", "output_raw", "files", "artifact", "output"}


@with_wandb
@pytest.mark.slow
@pytest.mark.parametrize("signal", ["TERM", "KILL"])
def test_wandb_leaves_no_process_after_a_signal(
    run_file: RunFile, tmp_path: Path, signal: str
) -> None:
    file = run_file({"train.epochs": 5000, "record.every": 50, "record.observers": ["wandb"]})
    program = "from cnntrain.cli.app import main; main()"
    command = [sys.executable, "-c", program, "fit", str(file), "--out", "run", "-q"]
    process = subprocess.Popen(command, cwd=tmp_path)
    metrics = tmp_path / "run" / "metrics.csv"
    until = time.monotonic() + 30
    while not (metrics.is_file() and metrics.read_text().count("\n") > 2):
        assert time.monotonic() < until
        time.sleep(0.1)
    before = service_ids(process.pid)
    assert before
    subprocess.run(["kill", f"-{signal}", str(process.pid)], check=True)
    assert process.wait(30) == {"TERM": 143, "KILL": -9}[signal]
    until = time.monotonic() + 10
    while any(lives(number) for number in before):
        assert time.monotonic() < until
        time.sleep(0.1)


def service_ids(parent: int) -> list[int]:
    """The processes that wandb has started in another one."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().partition(") ")
        except OSError:
            continue
        if int(rest.split()[1]) == parent and "wandb" in name:
            found.append(int(stat.parent.name))
    return found


def lives(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().partition(") ")[2][0] != "Z"
    except OSError:
        return False


@with_mlflow
def test_a_run_of_somebody_else_sends_nothing_to_a_place_that_its_user_never_named(
    run_file: RunFile,
    train_tiny: Train,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    observers = [{"mlflow": {"tracking_uri": database, "experiment": "somebody else"}}]
    run = train_tiny(run_file({"train.epochs": 1, "record.observers": observers})).run.path
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "another user"))
    capsys.readouterr()
    assert resume(run, overrides=["train.epochs=2"]).exit_code == 0
    assert f"nothing is sent to {database}, which the run names" in capsys.readouterr().err
    assert [row["epoch"] for row in mlflow_run(run)[1]] == [1]
    named = f"record.observers={json.dumps(observers)}"
    assert resume(run, overrides=["train.epochs=3", named]).exit_code == 0
    assert [row["epoch"] for row in mlflow_run(run)[1]] == [1, 2, 3]


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_missing_package_is_said_by_check_and_before_training(
    run_file: RunFile, train_tiny: Train, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    file = run_file({"record.observers": [name]})
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda asked: None if asked == name else find(asked)
    )
    for act in (check_run_file, train_tiny):
        with pytest.raises(ConfigError) as raised:
            act(file)
        (problem,) = [p for p in raised.value.problems if p.message.startswith("the observer")]
        expected = f"the observer '{name}' needs the package {name}, which is not installed"
        assert problem.message == expected
        assert problem.remedy == f"pip install 'cnntrain[{name}]'"
    assert not Path("runs/tiny/latest").exists()


def test_settings_for_observers_are_checked_by_key(run_file: RunFile) -> None:
    file = run_file({"record.observers": [{"wandb": {"mode": "on-line"}}]})
    with pytest.raises(ConfigError, match="online"):
        check_run_file(file)
    assert yaml.safe_load(file.read_text())["record"]["observers"]
