"""TensorBoard's event files: training and validation as two runs with the same tags."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from torch import Tensor, nn

from cnntrain.core.atomic import disk_errors
from cnntrain.record import observer
from cnntrain.record.event_files import TRAIN, prune_events
from cnntrain.record.log import note
from cnntrain.record.observe import Record, Tally, epoch_figures
from cnntrain.record.tensorboard_pictures import filters_picture, images_picture, weight_histograms
from cnntrain.record.window import StepReport
from cnntrain.train.events import EpochDone, EvalDone, RunDone, RunStarted, StepDone

if TYPE_CHECKING:
    from torch.utils.tensorboard import FileWriter, SummaryWriter

HISTOGRAM_SHARE = 0.01  # of the time of training, at most


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
        stream: where it is said that a file was damaged; None: only in the log.
    """

    def __init__(
        self,
        *,
        tensorboard: Path,
        net: nn.Module,
        images: Callable[[], Tensor | None] = lambda: None,
        settings: Mapping[str, object] | None = None,
        stream: TextIO | None = None,
    ) -> None:
        self._stream = stream
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
            for text in prune_events(split, start=event):
                note(text, self._stream)
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
