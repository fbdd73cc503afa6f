"""TensorBoard's event files: training and validation as two runs with the same tags."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor, nn

from cnntrain.core.atomic import disk_errors
from cnntrain.record import observer
from cnntrain.record.observe import Record, Tally, epoch_figures
from cnntrain.record.tensorboard_pictures import filters_picture, images_picture, weight_histograms
from cnntrain.record.window import StepReport
from cnntrain.train.events import EpochDone, EvalDone, RunDone, RunStarted, StepDone

if TYPE_CHECKING:
    from tensorboard.compat.proto.event_pb2 import Event
    from torch.utils.tensorboard import FileWriter, SummaryWriter

TRAIN = "train"
HISTOGRAM_SHARE = 0.01  # of the time of training, at most
_SESSION_END = "_hparams_/session_end_info"
_HEAD = struct.Struct("<Q4x")  # length of the event, checksum of the length
_TAIL = 4  # checksum of the event


@observer("tensorboard", unlisted="`record.tensorboard` turns it on and off")
class TensorBoard:
    """Writes one sub-folder a split, so that one plot shows `loss` of both, and `error` of both.

    `loss` and `error` have one point an epoch or evaluation; `step/...` one a report; weight
    histograms and the filters of the first convolution one an epoch (histograms less often where
    they would take more than 1 % of the time). The settings and the final figures go into the
    training split's own files, as TensorBoard's hparams. On resume, what lies after the resumed
    step is taken out. TensorBoard is imported when the first file is opened.

    Args:
        tensorboard: the folder of the sub-folders.
        net: whose weights are shown.
        images: gives sample inputs before normalisation, (N, C, H, W) from 0 to 1; None to show
            none.
        settings: the run's settings by name; what is no number or text is shown as text.
    """

    def __init__(
        self,
        *,
        tensorboard: Path,
        net: nn.Module,
        images: Callable[[], Tensor | None] = lambda: None,
        settings: Mapping[str, object] | None = None,
    ) -> None:
        self._folder = tensorboard
        self._net = net
        self._images = images()
        self._settings = dict(settings or {})
        self._writers: dict[str, SummaryWriter] = {}
        self._purge_step: int | None = None
        self._tally = Tally()
        self._drawing = 0.0  # seconds that histograms took
        self._drawing_once = 0.0  # of them the last time

    def observe(self, event: Record) -> None:
        """Write the event's points."""
        if isinstance(event, StepDone):
            return
        self._tally.observe(event)
        with disk_errors(self._folder):
            if isinstance(event, StepReport):
                self._report(event)
            elif isinstance(event, RunStarted):
                self._start(event)
            elif isinstance(event, EvalDone):
                self._evaluation(event)
            elif isinstance(event, EpochDone):
                self._epoch(event)
            elif isinstance(event, RunDone):
                self._done(event)

    def flush(self) -> None:
        """Bring all points to disk."""
        with disk_errors(self._folder):
            for writer in self._writers.values():
                writer.flush()

    def close(self) -> None:
        """Bring all points to disk and close the files."""
        with disk_errors(self._folder):
            for writer in self._writers.values():
                writer.close()

    def _writer(self, split: str) -> SummaryWriter:
        if split not in self._writers:
            from torch.utils.tensorboard import SummaryWriter  # 0.5 s: only if used

            self._writers[split] = SummaryWriter(
                str(self._folder / split), purge_step=self._purge_step
            )
        return self._writers[split]

    def _file(self, split: str) -> FileWriter:
        file = self._writer(split).file_writer
        assert file is not None
        return file

    def _scalars(self, split: str, step: int, values: Mapping[str, float | None]) -> None:
        """All points of one moment as one event: a fifth of the cost of an add_scalar for each."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        points = [
            Summary.Value(tag=tag, simple_value=value)
            for tag, value in values.items()
            if value is not None
        ]
        self._file(split).add_summary(Summary(value=points), step)

    def _start(self, event: RunStarted) -> None:
        splits = sorted(path for path in self._folder.glob("*") if path.is_dir())
        for split in splits:
            prune_events(split, start=event)
        if event.step > 0:
            self._purge_step = event.step + 1
            for split in splits:
                self._writer(split.name)  # a TensorBoard that is watching learns of it
            return
        if self._images is not None:
            self._writer(TRAIN).add_image("inputs", images_picture(self._images), 0)
        self._filters(0)
        self._hparams(done=False)

    def _report(self, event: StepReport) -> None:
        values = {
            "step/loss": event.loss,
            "step/learning_rate": event.lr,
            "step/gradient_norm": event.grad_norm,
            "step/images_per_second": event.images_per_second,
            "step/data_wait": event.data_wait,
        }
        self._scalars(TRAIN, event.step, values)

    def _evaluation(self, event: EvalDone) -> None:
        found = event.metrics
        figures = {name: found.figures[name] for name in self._tally.task.figures}
        self._scalars(event.split, event.step, {"loss": found.loss, **figures})

    def _epoch(self, event: EpochDone) -> None:
        values = {
            "loss": event.train_loss,
            **event.train_figures,
            "epoch/learning_rate": event.lr,
            "epoch/images_per_second": event.images_per_second,
            "epoch/data_wait": event.data_wait,
        }
        self._scalars(TRAIN, event.step, values)
        self._filters(event.step)
        if self._drawing + self._drawing_once <= HISTOGRAM_SHARE * self._tally.so_far.seconds:
            self._histograms(event.step)

    def _filters(self, step: int) -> None:
        picture = filters_picture(self._net)
        if picture is not None:
            self._writer(TRAIN).add_image("first_layer_filters", picture, step)

    def _histograms(self, step: int) -> None:
        began = time.perf_counter()
        for found in weight_histograms(self._net):
            self._writer(TRAIN).add_histogram_raw(
                f"weights/{found.name}",
                min=found.low,
                max=found.high,
                num=found.values,
                sum=found.total,
                sum_squares=found.squares,
                bucket_limits=found.edges,
                bucket_counts=found.counts,
                global_step=step,
            )
        self._drawing_once = time.perf_counter() - began
        self._drawing += self._drawing_once

    def _final(self, best: float | None = None) -> dict[str, float | None]:
        """The figures at the end."""
        tally = self._tally
        figures = epoch_figures(tally.so_far.last, tally.task, validation=tally.task.headline)
        final = {f"final/{name}": value for name, value in figures.items()}
        return {**final, f"final/best_validation_{tally.select}": best}

    def _hparams(self, *, done: bool) -> None:
        """The three summaries of TensorBoard's hparams; add_hparams would make a run of its own."""
        from torch.utils.tensorboard.summary import hparams

        settings = {
            name: value if isinstance(value, int | float | str) else str(value)
            for name, value in self._settings.items()
        }
        experiment, start, end = hparams(settings, dict.fromkeys(self._final(), 0.0))  # type: ignore[no-untyped-call] # torch's
        for summary in (end,) if done else (experiment, start):
            self._file(TRAIN).add_summary(summary)

    def _done(self, event: RunDone) -> None:
        self._scalars(TRAIN, event.step, self._final(event.best_value))
        if event.reason != "stopped":
            self._hparams(done=True)


def prune_events(folder: Path, *, start: RunStarted) -> None:
    """Leave in a split's event files only what was done before a run's start, each event once.

    The final figures go, and so do the splits that are evaluated at the end. All of it goes to one
    file, whose name sorts before those of the files to come (TensorBoard reads a folder in the
    order of the names, which count seconds). A torn end is dropped.
    """
    from tensorboard.compat.proto.event_pb2 import Event  # 0.3 s: only where there are files

    with disk_errors(folder):
        files = sorted(folder.glob("events.out.tfevents.*"))
        if not files:
            return
        draft = folder / "resumed.draft"
        seen: set[bytes] = set()
        with draft.open("wb") as out:
            for file in files:
                for record in _records(file):
                    event = Event.FromString(record[_HEAD.size : -_TAIL])
                    double = record in seen or (event.HasField("file_version") and bool(seen))
                    if not double and _stays(event, folder.name, start):
                        seen.add(record)
                        out.write(record)
        merged = folder / "events.out.tfevents.0000000000.resumed"
        draft.replace(merged)
        for file in files:
            if file != merged:
                file.unlink()


def _stays(event: Event, split: str, start: RunStarted) -> bool:
    """Whether an event is of what the resumed state had already done."""
    if event.HasField("file_version"):
        return True
    tag = event.summary.value[0].tag if event.summary.value else ""
    is_of_the_end = tag.startswith("final/") or tag == _SESSION_END
    if start.step == 0 or is_of_the_end or event.HasField("session_log"):
        return False
    if split not in (TRAIN, "validation"):
        return False
    in_an_epoch = start.step > start.epoch * start.steps_per_epoch
    if in_an_epoch and event.step == start.step:
        return bool(tag.startswith("step/"))  # all else is of the epoch's end, which is to come
    return bool(event.step <= start.step)


def _records(file: Path) -> Iterator[bytes]:
    """The whole records, each with its frame: head, event, tail."""
    data = file.read_bytes()
    at = 0
    while at + _HEAD.size <= len(data):
        (length,) = _HEAD.unpack_from(data, at)
        end = at + _HEAD.size + length + _TAIL
        if end > len(data):
            return
        yield data[at:end]
        at = end
