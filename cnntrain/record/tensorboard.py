"""TensorBoard's event files: training and validation as two runs with the same tags."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TextIO

from torch import Tensor, nn

from cnntrain.core.escapes import escaped
from cnntrain.record import observer
from cnntrain.record.event_file import EventFile
from cnntrain.record.log import note
from cnntrain.record.metrics_rows import Losses, losses_by_step
from cnntrain.record.observe import Observer, Record, Tally, epoch_figures
from cnntrain.record.prune_events import TRAIN, prune_events
from cnntrain.record.tensorboard_pictures import (
    DRAWN_CLASSES,
    confusion_picture,
    filters_picture,
    histogram_interval,
    images_picture,
    outputs_picture,
    scatter_picture,
    weight_histograms,
)
from cnntrain.record.window import StepReport
from cnntrain.tasks.answers import parts_of
from cnntrain.train.events import (
    EpochDone,
    EvalDone,
    RunDone,
    RunStarted,
    Setback,
    StepDone,
)


@observer("tensorboard", unlisted="`record.tensorboard` turns it on and off")
class TensorBoard(Observer):
    """Writes a sub-folder per split, so that one plot shows `loss` of both, and `error` of both.

    `loss` and `error` have one point per epoch or evaluation; `step/...` one per report; the
    filters of the first convolution one per epoch; weight histograms one every few epochs (each, in
    small networks: see `histogram_interval`), the first and the last included. The results of the
    last epoch and of the test images are there in full: the task's report and the confusion matrix.
    The settings and the final figures go into the training split's own files, as TensorBoard's
    hparams.
    On resume, what lies after the resumed step is taken out, and so is what a rollback undoes.
    TensorBoard is imported when the first file is opened. What cannot be written waits until it can
    (see `GrowingFile`).

    Args:
        tensorboard: the folder of the sub-folders.
        net: whose weights are shown.
        images: gives sample inputs before normalisation, (N, C, H, W) from 0 to 1; None to show
            none.
        classes: their names; without them there are no reports.
        settings: the run's settings by name; what is no number or text is shown as text.
        metrics_jsonl: the run's metrics, which on resume say which points there should be.
        stream: where it is said that a file was damaged; None: only in the log.
    """

    sees_steps = False

    output = "TensorBoard's folder"
    forgiven = (Exception,)  # of TensorBoard, protobuf and Pillow

    def __init__(
        self,
        *,
        tensorboard: Path,
        net: nn.Module,
        images: Callable[[], Tensor | None] = lambda: None,
        classes: Sequence[str] = (),
        settings: Mapping[str, object] | None = None,
        metrics_jsonl: Path | None = None,
        stream: TextIO | None = None,
    ) -> None:
        self._stream = stream
        self._metrics = metrics_jsonl
        self._folder = tensorboard
        self._net = net
        self._images, self._classes = images(), classes
        self._settings = dict(settings or {})
        self._files: dict[str, EventFile] = {}
        self._purge_step: int | None = None
        self._tally = Tally()
        self._found: EvalDone | None = None
        self._drawn = -1  # the epoch of the last histograms

    def observe(self, event: Record) -> None:
        """Write the event's points."""
        if isinstance(event, StepDone):
            return
        self._tally.observe(event)
        if isinstance(event, StepReport):
            self._report(event)
        elif isinstance(event, RunStarted):
            self._begun = event
            self._start(event)
        elif isinstance(event, Setback) and event.policy == "rollback":
            self._purge_step = 0
            self._start(replace(self._begun, epoch=event.epoch, step=event.step))
        elif isinstance(event, EvalDone):
            self._evaluation(event)
        elif isinstance(event, EpochDone):
            self._epoch(event)
        elif isinstance(event, RunDone):
            self._done(event)

    def flush(self) -> None:
        """Write what waits for a disk that was full."""
        for events in self._files.values():
            events.file.catch_up()

    def close(self) -> None:
        """Close the files."""
        for events in self._files.values():
            events.file.close()

    def incomplete(self) -> Mapping[str, str]:
        """Which of the files lacks events, and why."""
        files = [events.file for events in self._files.values()]
        return {
            str(file.path.relative_to(self._folder.parent)): file.trouble
            for file in files
            if file.trouble
        }

    def _file(self, split: str) -> EventFile:
        if split not in self._files:
            self._files[split] = EventFile(self._folder / split, purge_step=self._purge_step)
        return self._files[split]

    def _scalars(self, split: str, step: int, values: Mapping[str, float | None]) -> None:
        """All points of one moment as one event: a fifth of the cost of an add_scalar for each."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        points = [
            Summary.Value(tag=tag, simple_value=value)
            for tag, value in values.items()
            if value is not None
        ]
        self._file(split).add(Summary(value=points), step)

    def _start(self, event: RunStarted) -> None:
        losses = losses_by_step(self._metrics) if event.step > 0 else {}
        there = {path.name for path in self._folder.glob("*") if path.is_dir()}
        splits = sorted(there | losses.keys())
        for split in splits:
            self._prune(split, event, losses.get(split))
        if event.step > 0:
            self._purge_step = event.step + 1
            for split in splits:
                self._file(split)  # a TensorBoard that is watching learns of it
            return
        if self._images is not None:
            self._picture("inputs", images_picture(self._images), 0)
        self._filters(0)
        self._hparams(done=False)

    def _prune(self, split: str, start: RunStarted, losses: Losses | None = None) -> None:
        if split in self._files:
            self._files.pop(split).file.close()
        for text in prune_events(self._folder / split, start=start, losses=losses or {}):
            note(text, self._stream)

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
        if event.split != "validation" and (self._folder / event.split).is_dir():
            # Of a run that was killed after it: a result at the same step is replaced.
            before, self._purge_step = event.step - 1, event.step
            epoch = before // self._begun.steps_per_epoch
            self._prune(event.split, replace(self._begun, epoch=epoch, step=before))
        self._scalars(event.split, event.step, {"loss": found.loss, **figures})
        self._found = event
        if event.split != "validation":
            self._in_full(event)

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
        every = histogram_interval(self._net, steps_per_epoch=self._begun.steps_per_epoch)
        if event.epoch == self._begun.epochs:
            self._end_of_training(event)
        elif (event.epoch - 1) % every == 0:
            self._histograms(event)

    def _end_of_training(self, event: EpochDone | RunDone) -> None:
        """What the last epoch has besides; only `RunDone` says which one that is if it is early."""
        if self._drawn != event.epoch > self._begun.epoch:
            self._histograms(event)
        if self._found is not None and self._found.step == event.step:
            self._in_full(self._found)

    def _in_full(self, event: EvalDone) -> None:
        """The task's report and what it has to be drawn: the confusion matrix, the scatter."""
        from torch.utils.tensorboard.summary import text

        if self._classes:
            report = self._tally.task.report(event.metrics, self._classes)
            block = "".join(f"    {line}\n" for line in report.splitlines())  # Markdown's for code
            self._file(event.split).add(text("report", block), event.step)  # type: ignore[no-untyped-call] # torch's
        for head, _, found, _ in parts_of(self._tally.task, event.metrics, self._classes):
            draw = partial(self._picture, step=event.step, split=event.split)
            begin = f"{head}/" if head else ""
            confusion = getattr(found, "confusion", None)
            if confusion is not None and len(confusion) <= DRAWN_CLASSES:
                draw(f"{begin}confusion", confusion_picture(confusion))
            sample = getattr(found, "sample", None)
            if sample is not None:
                name = "outputs" if sample.ndim == 5 else "scatter"
                picture = outputs_picture(sample) if sample.ndim == 5 else scatter_picture(sample)
                draw(f"{begin}{name}", picture)

    def _filters(self, step: int) -> None:
        picture = filters_picture(self._net)
        if picture is not None:
            self._picture("first_layer_filters", picture, step)

    def _picture(self, tag: str, picture: Tensor, step: int, *, split: str = TRAIN) -> None:
        from torch.utils.tensorboard.summary import image  # 0.5 s: only if used

        self._file(split).add(image(tag, picture, dataformats="CHW"), step)  # type: ignore[no-untyped-call] # torch's

    def _histograms(self, event: EpochDone | RunDone) -> None:
        from torch.utils.tensorboard.summary import histogram_raw

        self._drawn = event.epoch
        for found in weight_histograms(self._net):
            summary = histogram_raw(  # type: ignore[no-untyped-call] # torch's
                f"weights/{found.name}",
                min=found.low,
                max=found.high,
                num=found.values,
                sum=found.total,
                sum_squares=found.squares,
                bucket_limits=found.edges,
                bucket_counts=found.counts,
            )
            self._file(TRAIN).add(summary, event.step)

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
            name: value if isinstance(value, int | float) else escaped(str(value))
            for name, value in self._settings.items()
        }
        experiment, start, end = hparams(settings, dict.fromkeys(self._final(), 0.0))  # type: ignore[no-untyped-call] # torch's
        for summary in (end,) if done else (experiment, start):
            self._file(TRAIN).add(summary)

    def _done(self, event: RunDone) -> None:
        self._scalars(TRAIN, event.step, self._final(event.best_value))
        if event.reason == "early stop":
            self._end_of_training(event)
        if event.reason != "stopped":
            self._hparams(done=True)
