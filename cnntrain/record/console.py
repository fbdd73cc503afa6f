"""What a run says on the terminal: a card, a bar, one line per epoch, a closing table."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

from cnntrain.core.escapes import escaped
from cnntrain.record import observer
from cnntrain.record.console_summary import (
    closing_line,
    closing_lines,
    closing_rows,
    figures_text,
    print_table,
    result_text,
)
from cnntrain.record.observe import Observer, Record, Tally
from cnntrain.record.time_left import Ahead, TimeLeft
from cnntrain.record.window import StepReport, StepWindow
from cnntrain.show.progress import Bar, is_terminal
from cnntrain.show.words import about_time, clock_time, counted, percent, quantity
from cnntrain.train.events import EpochDone, EvalDone, RunDone, RunStarted, Setback, StepDone

SILENCE_SECONDS = 30.0
BAR_SECONDS = 0.25
FIGURES_SECONDS = 2.0  # between two readings of the loss for the bar: each waits for the device
WORTH_SAYING = 20.0  # seconds left; less needs no estimate of the whole
NOTHING_ELSE = Ahead()
WAIT_SHARE = 0.2  # of an epoch; more is worth a word
WAIT_SECONDS = 0.5  # less is not worth a word
DEFAULT_CURE = (
    "raise data.workers, keep the set in memory (data.memory: resident), "
    "or store the images no larger than training needs them"
)


@observer("console", unlisted="every run has it")
class Console(Observer):
    """Shows progress on stderr.

    On a terminal a bar runs, redrawn a few times a second. Elsewhere there are only whole lines
    of plain text: one per epoch, and one whenever 30 seconds would pass in silence. The loss and
    the speed there are those since the line before, the time left is that of the whole run; where
    epochs are short it ends their line every 30 seconds. The device is read for nothing else, on
    a terminal every 2 seconds.

    Args:
        run: the run's folder, named at the end with the next commands.
        card: what is said at the start, label and text (arch, parameters, data, device).
        stream: where to write; the error stream if None.
        quiet: say nothing but one final line.
        data_cure: what to do if training waits for data, as concretely as the caller knows it.
        ahead: what takes time besides the training steps.
        clock: in seconds (for tests).
    """

    output = "the text on the terminal"
    forgiven = (Exception,)  # of tqdm and rich, and a stream that is closed or is no stream

    def __init__(
        self,
        *,
        run: Path | None = None,
        card: Sequence[tuple[str, str]] = (),
        stream: TextIO | None = None,
        quiet: bool = False,
        data_cure: str = DEFAULT_CURE,
        ahead: Ahead = NOTHING_ELSE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._terminal = is_terminal(self._stream)
        self._run = run
        self._card = card
        self._quiet = quiet
        self._data_cure = data_cure
        self._clock = clock
        self._spoke = clock()
        self._left_shown = clock()  # when the time left was shown
        self._bar: Bar | None = None
        self._started: RunStarted | None = None
        self._window = StepWindow(clock)
        self._ahead = ahead
        self._left = TimeLeft(ahead, clock=clock)
        self._expected: str | None = None  # what the whole run was expected to take
        self._tally = Tally()
        self._waiting_reported = False

    def observe(self, event: Record) -> None:
        """Say what there is to say."""
        if isinstance(event, StepReport):
            return
        self._tally.observe(event)
        self._left.observe(event)
        if isinstance(event, StepDone):
            self._step(event)
            return
        if isinstance(event, RunStarted):
            self._start(event)
        elif isinstance(event, EvalDone):
            self._evaluation(event)
        elif isinstance(event, EpochDone):
            self._epoch(event)
        elif isinstance(event, Setback):
            self._setback(event)
        else:
            self._done(event)
        self._window.restart()  # what was said, and what it was about, took no time of training

    def close(self) -> None:
        """Clear the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _say(self, line: str) -> None:
        self._stream.write(escaped(line) + "\n")
        self._stream.flush()
        self._spoke = self._clock()

    def _start(self, event: RunStarted) -> None:
        self._started = event
        if not self._quiet:
            for label, text in self._card:
                self._say(f"{label:<{self._label_width}}  {text}")
            if event.step > 0:
                whole = event.epochs * event.steps_per_epoch
                self._say(f"resumed after step {event.step} of {whole}")
        self._open_bar(event.epoch + 1, done=event.step - event.epoch * event.steps_per_epoch)

    @property
    def _label_width(self) -> int:
        return max((len(label) for label, _ in self._card), default=0)

    def _open_bar(self, epoch: int, *, done: int = 0) -> None:
        assert self._started is not None, "RunStarted comes first"
        if self._quiet or not self._terminal or epoch > self._started.epochs:
            return
        self._bar = Bar(
            total=self._started.steps_per_epoch,
            initial=max(done, 0),
            desc=f"epoch {epoch}/{self._started.epochs}",
            unit="step",
            file=self._stream,
            leave=False,
            dynamic_ncols=True,
            mininterval=BAR_SECONDS,
            disable=None,
        )

    def _step(self, event: StepDone) -> None:
        if self._quiet:
            return
        self._window.add(event)
        if self._expected is None and self._left.is_measured:
            self._estimate()
        if self._bar is not None:
            if self._window.seconds > FIGURES_SECONDS:
                self._bar.figures = self._figures(event)
            self._bar.update()
        elif not self._terminal and self._clock() - self._spoke > SILENCE_SECONDS:
            self._say(self._progress(event))

    def _estimate(self) -> None:
        """Say once, after the first steps, how long the whole run will take."""
        assert self._started is not None
        left = self._left.of_run()
        if left < WORTH_SAYING:
            self._expected = ""
            return
        self._expected = about_time(self._left.spent + left)
        first, last = self._started.epoch + 1, self._started.epochs
        epochs = counted(last, "epoch") if first == 1 else f"epochs {first} to {last}"
        bound = "at most " if self._ahead.may_end_early else ""
        steps = counted(self._left.measured + 1, "step")
        text = f"{bound}about {self._expected} for {epochs} on {self._ahead.device}; "
        text += f"the first {steps} took {clock_time(self._left.spent)}"
        self._left_shown = self._clock()
        if self._bar is not None:
            self._bar.clear()
        self._say(f"{'time':<{self._label_width}}  {text}")

    def _figures(self, event: StepDone) -> list[str]:
        """The time left; loss and speed since they were last read, which waits for the device."""
        report = self._window.report(event)
        self._window.restart()
        texts = [f"loss {report.loss:.4g}", f"{quantity(report.images_per_second)} images/s"]
        for left in self._time_left():
            if self._bar is None:  # a bar shows it itself
                left += f" ({about_time(self._left.of_epoch())} of this epoch)"
            texts.insert(0, left)
        return texts

    def _time_left(self, *, at_least: float = 0.0) -> list[str]:
        """How long the run still takes, where that is known and not less than so many seconds."""
        if not self._left.is_measured or (left := self._left.of_run()) < at_least:
            return []
        self._left_shown = self._clock()
        return [f"{about_time(left)} left"]

    def _progress(self, event: StepDone) -> str:
        assert self._started is not None
        whole = self._started.epochs * self._started.steps_per_epoch
        line = f"epoch {event.epoch}/{self._started.epochs}  step {event.step}/{whole}"
        *left, loss, speed = self._figures(event)
        return "  ".join([line, f"lr {event.lr:.3g}", loss, speed, *left])

    def _evaluation(self, event: EvalDone) -> None:
        if event.split != "validation" and not self._quiet:  # validation is in the epoch's line
            self.close()
            self._say(f"{event.split} {result_text(event.metrics, self._tally.task, gap='  ')}")

    def _setback(self, event: Setback) -> None:
        if self._quiet:
            return
        self.close()
        self._say(f"warning: {event.text}")
        if event.policy == "rollback":
            self._open_bar(event.epoch + 1)

    def _epoch(self, event: EpochDone) -> None:
        if self._quiet:
            return
        self.close()
        self._say(self._epoch_line(event))
        long = event.data_wait > WAIT_SHARE and event.data_seconds >= WAIT_SECONDS
        if long and not self._waiting_reported:
            self._waiting_reported = True
            self._say(
                f"epoch {event.epoch} spent {percent(event.data_wait, places=0)} of its time "
                f"waiting for data: {self._data_cure}"
            )
        self._open_bar(event.epoch + 1)

    def _epoch_line(self, event: EpochDone) -> str:
        assert self._started is not None
        epochs = self._started.epochs
        parts = [
            f"epoch {event.epoch:>{len(str(epochs))}}/{epochs}",
            f"train {figures_text(event.train_loss, event.train_figures, self._tally.task)}",
        ]
        if event.validation is not None:
            star = " (best)" if event.is_best and not self._tally.keeps_last else ""
            parts.append(f"validation {result_text(event.validation, self._tally.task)}{star}")
        parts += [
            f"lr {event.lr:.3g}",
            f"{quantity(event.images_per_second or 0.0)} images/s",
            f"data wait {percent(event.data_wait, places=0)}",
            clock_time(event.seconds),
        ]
        if not self._terminal and self._clock() - self._left_shown > SILENCE_SECONDS:
            parts += self._time_left(at_least=WORTH_SAYING)
        return "  ".join(parts)

    def _done(self, event: RunDone) -> None:
        self.close()
        if self._quiet:
            self._say(closing_line(event, tally=self._tally, run=self._run))
            return
        assert self._started is not None, "RunStarted comes first"
        is_whole = event.reason == "finished" and self._started.step == 0
        expected = self._expected if is_whole else None
        rows = closing_rows(self._tally, best_epoch=event.best_epoch)
        print_table(rows, stream=self._stream, fancy=self._terminal)
        for line in closing_lines(event, tally=self._tally, run=self._run, expected=expected):
            self._say(line)
