"""What the commands print, where, and how they end; one small run serves them all."""

from __future__ import annotations

import csv
import errno
import io
import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

Cnntrain = Callable[..., Any]
RunFile = Callable[..., Path]


@pytest.fixture
def run(cnntrain: Cnntrain, run_file: RunFile) -> Path:
    answer = cnntrain("fit", run_file({"train.epochs": 1}), "-q")
    assert answer.code == 0, answer.err
    return Path(answer.out.strip())


def plain(answer: Any) -> bool:
    """No colour codes and no lines that overwrite themselves."""
    return not re.search(r"[\x1b\r]", answer.out + answer.err)


def test_fit_tells_its_folder_on_stdout_and_all_else_on_stderr(
    cnntrain: Cnntrain, run_file: RunFile
) -> None:
    answer = cnntrain("fit", run_file(), "--epochs", "2", "--out", "here")
    assert answer.code == 0
    assert answer.out == "here\n"
    assert plain(answer)
    for words in ("parameters", "synthetic", "epoch 1/2", "epoch 2/2", "best", "test", "next"):
        assert words in answer.err, words
    assert "cnntrain eval here" in answer.err


def test_the_test_set_is_classified_once_with_the_best_weights(
    cnntrain: Cnntrain, run_file: RunFile
) -> None:
    answer = cnntrain("fit", run_file(), "--out", "here")
    rows = [json.loads(line) for line in Path("here/metrics.jsonl").read_text().splitlines()]
    [test] = [row for row in rows if row.get("split") == "test"]
    summary = json.loads(Path("here/summary.json").read_text())
    assert test["epoch"] == summary["best_epoch"]
    assert summary["test"]["error"] == test["error"]
    assert summary["test"]["images"] == 30
    assert summary["peak_memory_bytes"] > 0
    assert summary["checkpoints"]["files"] >= 4
    header, *table = answer.err[answer.err.index("train loss  ") :].splitlines()
    assert header.endswith("test loss  test error")
    [best] = [line for line in table if line.startswith("best ")]
    assert best.split()[1] == str(test["epoch"])
    assert best.endswith(f" {100 * test['error']:.2f} %")


def test_quiet_is_one_line(cnntrain: Cnntrain, run_file: RunFile) -> None:
    answer = cnntrain("fit", run_file({"train.epochs": 1}), "-q", "--out", "here")
    [line] = answer.err.splitlines()
    assert "finished at epoch 1" in line
    assert answer.out == "here\n"


def test_eval_as_one_json_object(cnntrain: Cnntrain, run: Path) -> None:
    answer = cnntrain("eval", run, "--json")
    assert answer.code == 0
    assert answer.err == ""
    found = json.loads(answer.out)
    assert found["split"] == "test"
    assert found["images"] == 30
    assert found["correct"] == sum(row[i] for i, row in enumerate(found["confusion"]))
    assert found["top5"] is None  # of three classes
    assert [each["name"] for each in found["classes"]] == ["class0", "class1", "class2"]


def test_eval_as_tables_and_a_picture(cnntrain: Cnntrain, run: Path) -> None:
    answer = cnntrain("eval", "runs/tiny", "--split", "validation", "--confusion", "c.png")
    assert answer.code == 0
    assert "24 validation images" in answer.out
    assert "precision" in answer.out
    assert "rows: true class" in answer.out
    assert "c.png" in answer.err
    with Image.open("c.png") as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 300


def test_eval_tells_the_accuracy_that_was_logged(cnntrain: Cnntrain, run: Path) -> None:
    summary = json.loads((run / "summary.json").read_text())
    for split in ("validation", "test"):
        found = json.loads(cnntrain("eval", run, "--split", split, "--json").out)
        error = summary["best_error"] if split == "validation" else summary["test"]["error"]
        assert found["error"] == error


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(3):
        Image.new("RGB", (8, 8), (70 * index, 80, 90)).save(folder / f"{index}.png")
    return folder


def test_predict_as_table_json_and_csv(cnntrain: Cnntrain, run: Path, images: Path) -> None:
    table = cnntrain("predict", run, images, "--top", "2")
    assert (table.code, table.err) == (0, "")
    head, *lines = table.out.splitlines()
    assert head.split() == ["file", "class", "1", "class", "2"]
    assert [line.split()[0] for line in lines] == [
        str(images / f"{index}.png") for index in range(3)
    ]
    found = json.loads(cnntrain("predict", run, images, "--json").out)["predictions"]
    rows = list(
        csv.DictReader(io.StringIO(cnntrain("predict", run, images, "--format", "csv").out))
    )
    for line, one, row in zip(lines, found, rows, strict=True):
        best = one["probabilities"][0]
        assert line.split()[1:3] == [best["class"], f"{best['probability']:.2%}"]
        assert (row["file"], row["class1"]) == (one["file"], one["class"])
        assert float(row["probability1"]) == pytest.approx(best["probability"], abs=1e-6)
        assert sum(each["probability"] for each in one["probabilities"]) == pytest.approx(1)


def test_predict_tells_of_files_that_it_cannot_read(
    cnntrain: Cnntrain, run: Path, images: Path
) -> None:
    (images / "1.png").write_bytes(b"no image")
    answer = cnntrain("predict", run, images)
    assert answer.code == 3
    assert len(answer.out.splitlines()) == 3, "a head, and two images"
    assert answer.err.startswith(f"error: {images / '1.png'}: ")
    answer = cnntrain("predict", run, images, "--json")
    assert [each["class"] is None for each in json.loads(answer.out)["predictions"]] == [
        False,
        True,
        False,
    ]


def test_predict_refuses_what_it_would_not_obey(
    cnntrain: Cnntrain, run: Path, images: Path
) -> None:
    answer = cnntrain("predict", run, images, "-s", "data.batch_size=3")
    assert answer.code == 2
    assert "only data.bits, compute.device, compute.threads, plugins can" in answer.err


def test_summary_of_a_run(cnntrain: Cnntrain, run: Path) -> None:
    answer = cnntrain("summary", run)
    assert answer.code == 0
    assert "batch_norm1" in answer.out
    assert json.loads(cnntrain("summary", "runs/tiny", "--json").out)


def test_no_checkpoint_is_exit_code_4_and_one_line(
    cnntrain: Cnntrain, run: Path, tmp_path: Path
) -> None:
    pickled, text = tmp_path / "weights.pt", tmp_path / "weights.txt"
    pickled.write_bytes(pickle.dumps(print))
    text.write_text("none")
    (tmp_path / "empty").mkdir()
    for path in (pickled, text, tmp_path / "empty"):
        answer = cnntrain("eval", path)
        assert answer.code == 4, path
        assert answer.err.startswith("error: ")
        assert len(answer.err.splitlines()) == 1
        assert answer.out == ""


def test_a_run_that_is_not_there_is_exit_code_2(cnntrain: Cnntrain, run: Path) -> None:
    answer = cnntrain("eval", "runs/tinny")
    assert answer.code == 2
    assert "did you mean 'runs/tiny'?" in answer.err
    assert cnntrain("eval", run, "--split", "tset").code == 2


WRONG = """
arch:
  layers:
    - conv: {out: 8, kernal: 3}
    - linear: {out: $num_clases}
data: {name: synthetic, classes: 3, batch_sise: 8}
train: {epochs: 1, optimizer: {name: sgd, lr: 0.1}}
"""


def test_check_tells_all_problems_of_all_files_together(
    cnntrain: Cnntrain, run_file: RunFile
) -> None:
    Path("wrong.yaml").write_text(WRONG)
    answer = cnntrain("check", run_file(), "wrong.yaml")
    assert answer.code == 2
    assert "tiny.yaml: good" in answer.out
    for line, words in ((4, "'kernal'"), (5, "$num_classes"), (6, "'batch_sise'")):
        assert re.search(rf"^wrong.yaml:{line}:.*{re.escape(words)}", answer.err, re.MULTILINE)
    assert answer.err.count("wrong.yaml:") == 3


def test_an_architecture_is_no_run_file(cnntrain: Cnntrain) -> None:
    for command in ("check", "fit", "show"):
        answer = cnntrain(command, "archs/lenet5")
        assert answer.code == 2
        assert answer.err.count("this is an architecture, not a run file; name it in one") == 1
        assert "cnntrain summary " in answer.err
    assert cnntrain("summary", "archs/lenet5").code == 0


def test_check_needs_no_data(cnntrain: Cnntrain) -> None:
    answer = cnntrain("check", "lenet5", "resnet20_cifar10", "digits")
    assert answer.code == 0
    assert "61,706 parameters" in answer.out


def test_a_run_is_never_overwritten(cnntrain: Cnntrain, run_file: RunFile) -> None:
    Path("here").mkdir()
    Path("here/thing").touch()
    answer = cnntrain("fit", run_file(), "--out", "here")
    assert answer.code == 2
    assert "never overwritten" in answer.err
    assert not Path("runs").exists()


def test_missing_data_are_exit_code_3(cnntrain: Cnntrain) -> None:
    answer = cnntrain("fit", "lenet5", "-s", "data.root=nowhere")
    assert answer.code == 3
    assert "nowhere" in answer.err
    assert not Path("runs").exists()
    answer = cnntrain("check", "starter", "-s", "data.root=nowhere")
    assert answer.code == 3
    assert "good but for its images, which are not there" in answer.out
    wrong = cnntrain("check", "starter", "-s", "data.root=nowhere", "-s", "train.epochs=0")
    assert wrong.code == 2
    assert "there is no folder nowhere" in wrong.err
    assert "'epochs' must be at least 1" in wrong.err
    answer = cnntrain("fit", "nowhere/")
    assert (answer.code, "there is no folder nowhere/; check the path" in answer.err) == (2, True)


def test_divergence_is_exit_code_5(cnntrain: Cnntrain, run_file: RunFile) -> None:
    flat = {"arch": {"layers": ["flatten", {"linear": {"out": "$num_classes"}}]}}
    loss = {"train.loss": {"name": "mse"}, "train.optimizer.lr": 1e30}
    answer = cnntrain("fit", run_file({**flat, **loss}), "--out", "here")
    assert answer.code == 5
    assert "training diverged at step" in answer.err
    assert "try train.optimizer.lr: 0.1" in answer.err
    assert "Traceback" in Path("here/train.log").read_text()
    assert "Traceback" not in answer.err


def test_a_place_that_cannot_be_written_is_exit_code_7(
    cnntrain: Cnntrain, run_file: RunFile, run: Path
) -> None:
    Path("file").write_text("")
    assert cnntrain("fit", run_file(), "--out", "file/run").code == 7
    assert cnntrain("fit", run_file(), "-s", "record.root=file").code == 7
    assert cnntrain("eval", run, "--confusion", "file/c.png").code == 2
    assert cnntrain("new", "--out", "file/x.yaml").code == 7
    assert cnntrain("data", "show", run_file(), "--out", "file/x.png").code == 2


def test_a_full_disk_is_exit_code_7(
    cnntrain: Cnntrain, run_file: RunFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("torch.save", full)
    answer = cnntrain("fit", run_file(), "--out", "here")
    assert answer.code == 7
    assert "No space left on device" in answer.err
    assert "here/checkpoints" in answer.err
    assert not Path("here").exists(), "the run could not begin"


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes")],
    ids=["python", "torch"],
)
def test_out_of_memory_is_exit_code_6(
    cnntrain: Cnntrain, run_file: RunFile, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def big(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("cnntrain.fit.fit.prepare", big)
    answer = cnntrain("fit", run_file())
    assert answer.code == 6
    assert "data.batch_size" in answer.err


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("can't start new thread"),
        RuntimeError("Resource temporarily unavailable"),
        BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"),
    ],
    ids=["python", "torch", "fork"],
)
def test_out_of_threads_is_exit_code_6(
    cnntrain: Cnntrain, run_file: RunFile, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def crowded(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("cnntrain.fit.fit.prepare", crowded)
    answer = cnntrain("fit", run_file())
    assert answer.code == 6
    assert "lower data.workers and compute.threads" in answer.err


def test_a_bug_is_exit_code_1_with_a_traceback_on_request(
    cnntrain: Cnntrain, run_file: RunFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("oops")

    monkeypatch.setattr("cnntrain.fit.fit.prepare", broken)
    answer = cnntrain("fit", run_file())
    assert answer.code == 1
    [line] = answer.err.splitlines()
    assert line.startswith("error: internal error (please report): KeyError: 'oops'")
    monkeypatch.setenv("CNNTRAIN_DEBUG", "1")
    assert "Traceback" in cnntrain("fit", run_file()).err


def test_without_arguments_there_is_help(cnntrain: Cnntrain) -> None:
    answer = cnntrain()
    assert "Commands:" in answer.out + answer.err
    assert "Exit codes: 0 done" in answer.out + answer.err
    assert plain(answer)


def test_an_unknown_command_or_option_suggests(cnntrain: Cnntrain) -> None:
    answer = cnntrain("summery")
    assert answer.code == 2
    assert "'summary'" in answer.err
    answer = cnntrain("fit", "lenet5", "--epoch", "3")
    assert answer.code == 2
    assert "--epochs" in answer.err


@pytest.mark.parametrize("words", ["export x --to onx", "list onx", "eval x --split onx"])
def test_a_wrong_choice_is_told_in_a_sentence(cnntrain: Cnntrain, words: str) -> None:
    answer = cnntrain(*words.split())
    assert answer.code == 2
    assert re.search(r"\nError: Invalid value for '[-\w]+': 'onx' is not one of '", answer.err)
    assert ("did you mean 'onnx'?" in answer.err) == words.startswith("export")
    assert "did you mean 'layers'?" in cnntrain("list", "layer").err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("fit FILE -s data.root my_images", "write -s data.root=my_images\n"),
        ("check FILE --set train.epochs =3", "write -s train.epochs=3\n"),
        ("fit FILE data.root=my_images", "write -s data.root=my_images\n"),
        ("eval runs/x -s compute.threads=1 seed=3", "write -s seed=3\n"),
        ("visualize filters runs/x -s data.root elsewhere", "write -s data.root=elsewhere\n"),
    ],
)
def test_a_forgotten_part_of_a_setting(
    cnntrain: Cnntrain, run_file: RunFile, words: str, says: str
) -> None:
    answer = cnntrain(*words.replace("FILE", str(run_file())).split())
    assert answer.code == 2
    assert answer.err.endswith(says)
    assert answer.err.count("\n") == 1


def test_names_that_look_like_settings(cnntrain: Cnntrain, run_file: RunFile) -> None:
    assert cnntrain("fit", run_file({"train.epochs": 1}), "-q", "--out", "seed=3").code == 0
    assert cnntrain("eval", "seed=3").code == 0


def test_fit_needs_a_file_or_a_run(cnntrain: Cnntrain, run: Path) -> None:
    assert cnntrain("fit").code == 2
    assert cnntrain("fit", "lenet5", "--resume", run).code == 2
    assert cnntrain("fit", "--resume", run, "--out", "x").code == 2
    answer = cnntrain("fit", "--resume", run)
    assert answer.code == 2
    assert f"cnntrain fit --resume {run} --epochs 2" in answer.err
    answer = cnntrain("fit", "--resume", "runs/tiny", "--epochs", "2")
    assert answer.code == 0, answer.err
    assert answer.out == f"{run}\n"


def test_new_never_overwrites(cnntrain: Cnntrain) -> None:
    assert cnntrain("new", "lenet5").out == "lenet5.yaml\n"
    answer = cnntrain("new", "lenet5")
    assert answer.code == 2
    assert "already exists" in answer.err
    assert cnntrain("check", "lenet5.yaml").code == 0
    answer = cnntrain("new", "lenet")
    assert answer.code == 2
    assert "did you mean 'lenet" in answer.err


def test_data_check_and_show(cnntrain: Cnntrain, run_file: RunFile) -> None:
    file = run_file()
    answer = cnntrain("data", "check", file, "--json")
    assert answer.code == 0
    assert json.loads(answer.out)["is_clean"]
    answer = cnntrain("data", "show", file, "--out", "sheet.png")
    assert (answer.code, answer.out) == (0, "sheet.png\n")
    assert cnntrain("data", "show", file, "--out", "sheet.png").code == 2


def test_list_one_in_full(cnntrain: Cnntrain) -> None:
    answer = cnntrain("list", "layers", "conv")
    assert "Parameters:" in answer.out
    answer = cnntrain("list", "layers", "conf")
    assert answer.code == 2
    assert "did you mean 'conv'?" in answer.err


def test_list_keys_of_a_section(cnntrain: Cnntrain) -> None:
    answer = cnntrain("list", "keys", "train.schedule")
    assert "train.schedule.name: cosine\n" in answer.out
    assert "train.schedule.every of step (required): Epochs from one change" in answer.out
    assert "train.epochs" not in answer.out
    answer = cnntrain("list", "keys", "data.transforms.eval")
    assert "data.transforms.eval (default [normalize]): " in answer.out
    answer = cnntrain("list", "keys", "train.optimzer")
    assert (answer.code, answer.out) == (2, "")
    assert "did you mean 'train.optimizer'?" in answer.err


def test_verbose_logs_to_the_terminal(cnntrain: Cnntrain, run_file: RunFile) -> None:
    answer = cnntrain("fit", run_file({"train.epochs": 1}), "-v", "--out", "here")
    assert "training starts at epoch 0" in answer.err
    assert answer.out == "here\n"
