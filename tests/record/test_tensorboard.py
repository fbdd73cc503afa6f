"""TensorBoard's event files, read back with TensorBoard's own reader."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from torch import nn

from cnntrain.record.observe import observe
from cnntrain.record.prune_events import prune_events
from cnntrain.record.tensorboard import TensorBoard
from cnntrain.record.tensorboard_pictures import (
    SAMPLE,
    confusion_picture,
    filters_picture,
    histogram_interval,
    images_picture,
    weight_histograms,
)
from cnntrain.train.events import EpochDone, Event, RunDone, RunStarted, Setback

Run = Callable[..., Iterator[Event]]
FINAL = (
    "final/train_loss",
    "final/train_error",
    "final/validation_loss",
    "final/validation_error",
    "final/best_validation_error",
)
STEP_TAGS = {"loss", "learning_rate", "gradient_norm", "images_per_second", "data_wait"}


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 5), nn.Flatten(), nn.Linear(4, 2))


def record(
    folder: Path, events: Iterator[Event], *, settings: dict[str, object] | None = None
) -> None:
    board = TensorBoard(
        tensorboard=folder,
        net=network(),
        images=lambda: torch.zeros(3, 1, 5, 5),
        settings=settings or {"train.optimizer.lr": 0.1},
    )
    observe(events, observers=[board], every=2)


def read(folder: Path) -> EventAccumulator:
    return EventAccumulator(
        str(folder), size_guidance={"scalars": 0, "images": 0, "histograms": 0}
    ).Reload()


def steps(found: EventAccumulator, tag: str) -> list[int]:
    return [point.step for point in found.Scalars(tag)]


def test_the_tags(tmp_path: Path, run: Run) -> None:
    record(tmp_path, run())
    assert {p.name for p in tmp_path.iterdir()} == {"train", "validation"}
    train, validation = read(tmp_path / "train").Tags(), read(tmp_path / "validation").Tags()
    assert set(validation["scalars"]) == {"loss", "error"}
    expected = {"loss", "error"} | {f"step/{tag}" for tag in STEP_TAGS} | set(FINAL)
    expected |= {"epoch/learning_rate", "epoch/images_per_second", "epoch/data_wait"}
    assert set(train["scalars"]) == expected
    assert set(train["images"]) == {"inputs", "first_layer_filters"}
    assert set(train["histograms"]) == {
        f"weights/{name}" for name, _ in network().named_parameters()
    }


def test_the_values_of_both_splits_stand_over_the_same_steps(tmp_path: Path, run: Run) -> None:
    record(tmp_path, run())
    train, validation = read(tmp_path / "train"), read(tmp_path / "validation")
    for tag in ("loss", "error"):
        assert steps(train, tag) == steps(validation, tag) == [4, 8, 12]
    assert [p.value for p in train.Scalars("error")] == pytest.approx([0.5, 0.25, 0.5 / 3])
    assert [p.value for p in validation.Scalars("error")] == pytest.approx([0.19, 0.18, 0.17])
    assert [p.value for p in train.Scalars("step/loss")] == [1.5, 3.5, 5.5, 7.5, 9.5, 11.5]


@pytest.mark.parametrize(("until", "epoch", "step"), [(11, 1, 6), (11, 2, 8), (7, 1, 4)])
def test_after_a_resume_each_step_stands_once(
    tmp_path: Path, run: Run, until: int, epoch: int, step: int
) -> None:
    record(tmp_path, run(until=until))
    record(tmp_path, run(epoch=epoch, step=step))
    train, validation = read(tmp_path / "train"), read(tmp_path / "validation")
    assert steps(train, "step/loss") == [2, 4, 6, 8, 10, 12]
    for found in (train, validation):
        assert steps(found, "loss") == steps(found, "error") == [4, 8, 12]
    assert [i.step for i in train.Images("first_layer_filters")] == [0, 4, 8, 12]
    assert len(train.Images("inputs")) == 1
    assert [h.step for h in train.Histograms("weights/0.weight")] == [4, 8, 12]


def test_a_split_that_is_not_reached_again_is_pruned_too(tmp_path: Path, run: Run) -> None:
    record(tmp_path, run(until=7))  # validation has a point at step 4
    record(tmp_path, run(epoch=0, step=2, until=3))
    assert read(tmp_path / "validation").Tags()["scalars"] == []


def test_a_torn_end_is_dropped(tmp_path: Path, run: Run) -> None:
    record(tmp_path, run(until=11))
    for file in tmp_path.glob("*/*"):
        file.write_bytes(file.read_bytes()[:-7])
    record(tmp_path, run(epoch=1, step=4))
    assert steps(read(tmp_path / "train"), "step/loss") == [2, 4, 6, 8, 10, 12]


def test_pruning_that_was_cut_off_before_its_end_leaves_nothing_twice(
    tmp_path: Path, run: Run
) -> None:
    record(tmp_path, run(until=11))
    (file,) = (tmp_path / "train").iterdir()
    whole = file.read_bytes()
    prune_events(tmp_path / "train", start=RunStarted(3, 4, 2, 8))
    file.write_bytes(whole)  # as if it had not been removed any more
    prune_events(tmp_path / "train", start=RunStarted(3, 4, 2, 8))
    assert steps(read(tmp_path / "train"), "step/loss") == [2, 4, 6, 8]
    assert [path.stat().st_size > 0 for path in sorted((tmp_path / "train").iterdir())] == [
        True,
        False,
    ]


def test_settings_and_final_figures_are_hparams_of_the_same_folder(
    tmp_path: Path, run: Run
) -> None:
    settings = {"lr": 0.1, "name": "lenet5", "size": [28, 28], "clip": None, "nesterov": True}
    record(tmp_path, run(), settings=settings)
    train = read(tmp_path / "train")
    content = train.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    found = HParamsPluginData.FromString(content).session_start_info.hparams
    assert found["lr"].number_value == 0.1
    assert found["name"].string_value == "lenet5"
    assert found["size"].string_value == "[28, 28]"
    assert found["clip"].string_value == "None"
    assert "_hparams_/session_end_info" in train.summary_metadata
    declared = train.summary_metadata["_hparams_/experiment"].plugin_data.content
    metrics = HParamsPluginData.FromString(declared).experiment.metric_infos
    assert [m.name.tag for m in metrics] == list(FINAL)
    assert train.Scalars("final/best_validation_error")[0].value == pytest.approx(0.17)


def test_a_stopped_run_is_not_said_to_be_over(tmp_path: Path, run: Run) -> None:
    record(tmp_path, run(reason="stopped"))
    assert "_hparams_/session_end_info" not in read(tmp_path / "train").summary_metadata


def test_flush_brings_the_points_to_disk(tmp_path: Path, run: Run) -> None:
    board = TensorBoard(tensorboard=tmp_path, net=network())
    for event in run(until=7):
        board.observe(event)
    board.flush()
    assert steps(read(tmp_path / "train"), "loss") == [4]
    board.close()


@pytest.mark.parametrize(
    ("values", "steps", "epochs"),
    # by hand, 2,000 values per step: 2,000 / 8,000 -> each; 20,000 / 8,000 -> every third
    [(2_000, 4, [1, 2, 3, 4, 5, 6, 7, 8]), (20_000, 4, [1, 4, 7, 8]), (65_000, 4, [1, 8])],
)
def test_histograms_depend_on_the_epoch_alone(
    tmp_path: Path, run: Run, values: int, steps: int, epochs: list[int]
) -> None:
    net = nn.Linear(values, 1, bias=False)

    def drawn(folder: Path, *parts: Iterator[Event]) -> list[int]:
        for part in parts:
            observe(part, observers=[TensorBoard(tensorboard=folder, net=net)], every=2)
        return [h.step // steps for h in read(folder / "train").Histograms("weights/weight")]

    whole = drawn(tmp_path / "whole", run(epochs=8, steps=steps))
    parts = (run(epochs=8, steps=steps, until=15), run(epochs=8, steps=steps, epoch=3, step=12))
    assert whole == drawn(tmp_path / "parts", *parts) == epochs


def test_histograms_of_a_parameter_count_a_sample_of_it() -> None:
    large = nn.Linear(1000, 1000, bias=False)  # 65,536 of a million: 33 steps of 2,000
    assert [histogram_interval(large, steps_per_epoch=n) for n in (1, 32, 33)] == [33, 2, 1]


def test_the_last_epoch_of_an_early_stop_has_histograms(tmp_path: Path, run: Run) -> None:
    net = nn.Linear(65_000, 1, bias=False)  # every 9th epoch

    def stopped() -> Iterator[Event]:
        for event in run(epochs=8, reason="early stop"):
            if isinstance(event, RunDone):
                yield replace(event, epoch=5, step=20)
            elif event.epoch <= 5:
                yield event

    observe(stopped(), observers=[TensorBoard(tensorboard=tmp_path, net=net)], every=2)
    assert [h.step for h in read(tmp_path / "train").Histograms("weights/weight")] == [4, 20]
    assert [i.step for i in read(tmp_path / "validation").Images("confusion")] == [20]


def test_the_last_result_is_there_in_full(tmp_path: Path, run: Run) -> None:
    board = TensorBoard(tensorboard=tmp_path, net=network(), classes=("cat", "dog"))
    observe(run(), observers=[board])
    found = read(tmp_path / "validation")
    (image,) = found.Images("confusion")
    assert (image.step, image.width, image.height) == (12, 480, 480)  # 2 classes of 240 pixels
    (text,) = found.Tensors("report/text_summary")
    said = text.tensor_proto.string_val[0].decode()
    assert "    " in said
    assert all(word in said for word in ("cat", "dog", "83"))  # 83 of 100 are right


def test_right_answers_are_blue_and_mistakes_red() -> None:
    picture = confusion_picture(torch.tensor([[3, 1], [0, 4]]))
    assert picture.shape == (3, 480, 480)
    colours = [picture[:, y, x].tolist() for y in (0, 479) for x in (0, 479)]
    # 3 of 4 right; the only mistake, fully red; none, white; all right
    assert colours == [[0.25, 0.25, 1], [1, 0, 0], [1, 1, 1], [0, 0, 1]]


def test_the_hparams_plugin_lists_the_run_with_its_figures(tmp_path: Path, run: Run) -> None:
    """TensorBoard's own server is asked what its page HPARAMS asks."""
    record(tmp_path, run(), settings={"train.optimizer.lr": 0.1, "name": "lenet5"})
    code = f"""
import json, time
from tensorboard import program
from urllib.request import Request, urlopen
board = program.TensorBoard()
board.configure(argv=[None, "--logdir", {str(tmp_path)!r}, "--port", "0", "--load_fast", "false"])
address = board.launch() + "data/plugin/hparams/session_groups"
ask = json.dumps(dict(startIndex=0, sliceSize=9, allowedStatuses=["STATUS_SUCCESS"])).encode()
for _ in range(50):  # it reads the folder in a thread
    answer = urlopen(Request(address, ask, {{"Content-Type": "application/json"}}))
    found = json.load(answer)
    if found.get("totalSize"):
        break
    time.sleep(0.2)
print(json.dumps(found))
"""
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    (group,) = json.loads(asked.stdout)["sessionGroups"]
    assert group["hparams"] == {"train.optimizer.lr": 0.1, "name": "lenet5"}
    figures = {value["name"]["tag"]: value["value"] for value in group["metricValues"]}
    assert set(figures) == set(FINAL)
    assert figures["final/best_validation_error"] == pytest.approx(0.17)


def test_tensorboard_is_imported_only_if_it_is_used() -> None:
    code = "import sys, cnntrain.record.tensorboard; sys.exit('tensorboard' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False)
    assert found.returncode == 0


def test_a_histogram_counts_what_numpy_counts() -> None:
    net = nn.Linear(300, 100)
    found = {h.name: h for h in weight_histograms(net)}
    assert set(found) == {"weight", "bias"}
    values = net.weight.detach().numpy().ravel()
    weight = found["weight"]
    assert weight.values == sum(weight.counts) == 30_000
    assert weight.low == values.min()
    assert weight.edges[-1] == weight.high == values.max()
    assert weight.total == pytest.approx(values.astype(np.float64).sum())
    assert weight.squares == pytest.approx((values.astype(np.float64) ** 2).sum())


def test_a_histogram_of_a_large_or_broken_parameter() -> None:
    net = nn.Module()
    net.large = nn.Parameter(torch.linspace(-1, 1, 3 * SAMPLE + 7))
    net.broken = nn.Parameter(torch.full((5,), torch.nan))
    net.partly = nn.Parameter(torch.tensor([1.0, torch.inf, 3.0]))
    net.empty = nn.Parameter(torch.zeros(0))
    net.constant = nn.Parameter(torch.zeros(4))
    found = {h.name: h for h in weight_histograms(net)}
    assert set(found) == {"large", "partly", "constant"}
    assert SAMPLE / 2 < found["large"].values <= SAMPLE
    assert found["large"].low == -1.0
    assert (found["partly"].values, found["partly"].high) == (2, 3.0)
    assert sum(found["constant"].counts) == 4


def test_input_images_are_shown_as_they_were() -> None:
    plain = torch.rand(5, 3, 32, 32)
    picture = images_picture(plain)
    assert picture.shape == (3, 2 * 33 + 1, 3 * 33 + 1)  # 5 images: 2 rows of 3
    torch.testing.assert_close(picture[:, 34:66, 34:66], plain[4])
    assert torch.equal(picture[:, 33], torch.full((3, 100), 0.5))  # the line between the rows
    of_five = torch.rand(2, 5, 8, 8)  # channels: the first is shown, each pixel as 3 x 3
    torch.testing.assert_close(images_picture(of_five)[2, 1:25:3, 26:50:3], of_five[1, 0])


def test_each_filter_is_stretched_by_itself() -> None:
    grey = nn.Conv2d(1, 2, 3)
    with torch.no_grad():
        grey.weight[0] = torch.arange(9.0).view(1, 3, 3)
        grey.weight[1] = 100 * torch.arange(9.0).view(1, 3, 3) - 7
    picture = filters_picture(nn.Sequential(nn.ReLU(), grey, nn.Conv2d(2, 9, 3)))
    assert picture is not None
    assert picture.shape == (3, 26, 51)  # tiles of 3 pixels are enlarged to 24
    torch.testing.assert_close(picture[0, 1:25, 1:25], picture[0, 1:25, 26:50])
    assert (picture.min(), picture.max()) == (0.0, 1.0)
    colour = filters_picture(nn.Conv2d(3, 8, 7))
    assert colour is not None
    assert colour.shape[0] == 3
    assert filters_picture(nn.Linear(3, 2)) is None


def test_a_folder_that_is_deleted_meanwhile_is_said(
    tmp_path: Path, run: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    def deleting() -> Iterator[Event]:
        for event in run():
            yield event
            if isinstance(event, EpochDone) and event.epoch == 1:
                shutil.rmtree(tmp_path / "tb")

    record(tmp_path / "tb", deleting())
    said = capfd.readouterr().err.splitlines()
    assert [line.partition("/events")[0] for line in said] == ["tb/train", "tb/validation"]
    ending = "is incomplete: No such file or directory, from epoch 2 on"
    assert all(line.endswith(ending) for line in said)
    assert not (tmp_path / "tb").exists()


def test_no_thread_is_left_to_write(tmp_path: Path, run: Run) -> None:
    before = threading.active_count()
    board = TensorBoard(tensorboard=tmp_path, net=network())
    for event in run(until=7):
        board.observe(event)
    assert threading.active_count() == before
    assert steps(read(tmp_path / "train"), "loss") == [4]  # and what is said is on disk at once
    board.close()


@pytest.mark.parametrize("step", [0, 4, 6])
def test_what_a_rollback_undoes_is_taken_out(tmp_path: Path, run: Run, step: int) -> None:
    def events() -> Iterator[Event]:
        yield from run(until=7)
        yield Setback(step // 4, step, "rollback", 1, 0.5, "")
        yield from islice(run(epoch=step // 4, step=step), 1, None)

    record(tmp_path, events())
    train, validation = read(tmp_path / "train"), read(tmp_path / "validation")
    assert steps(train, "step/loss") == [2, 4, 6, 8, 10, 12]
    for found in (train, validation):
        assert steps(found, "loss") == steps(found, "error") == [4, 8, 12]
    assert [i.step for i in train.Images("first_layer_filters")] == [0, 4, 8, 12]
    assert len(train.Images("inputs")) == 1
    assert "_hparams_/session_start_info" in train.summary_metadata


@pytest.mark.parametrize(("way", "epoch"), [("rollback", 0), ("rollback", 1), ("resume", 1)])
def test_a_tensorboard_that_is_watching_forgets_it(
    tmp_path: Path, run: Run, way: str, epoch: int
) -> None:
    board = TensorBoard(tensorboard=tmp_path, net=network())
    for event in run(until=11):
        board.observe(event)
    watching = read(tmp_path / "train")
    assert steps(watching, "loss") == [4, 8]
    again = run(epoch=epoch, step=4 * epoch, until=4 * epoch + 1)
    if way == "resume":
        board.close()
        board = TensorBoard(tensorboard=tmp_path, net=network())
    else:
        next(again)
        board.observe(Setback(epoch, 4 * epoch, "rollback", 1, 0.5, ""))
    for event in again:
        board.observe(event)
    board.close()
    assert steps(watching.Reload(), "loss") == [4][:epoch]
