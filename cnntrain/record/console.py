"""What a run says on the terminal: a card, a bar, one line an epoch, a closing table."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Never, TextIO

from tqdm import tqdm

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
from cnntrain.record.window import StepReport
from cnntrain.show.words import clock_time, escaped, percent, quantity
from cnntrain.train.events import EpochDone, EvalDone, RunDone, RunStarted, Setback, StepDone

SILENCE_SECONDS = 30.0
BAR_SECONDS = 0.25
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
    of plain text: one an epoch, and one whenever 30 seconds would pass in silence. Nothing here
    reads from the device.

    Args:
        run: the run's folder, named at the end with the next commands.
        card: what is said at the start, label and text (arch, parameters, data, device).
        stream: where to write; the error stream if None.
        quiet: say nothing but one final line.
        data_cure: what to do if training waits for data, as concretely as the caller knows it.
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
        self._bar: tqdm[Never] | None = None
        self._started: RunStarted | None = None
        self._report: StepReport | None = None
        self._tally = Tally()
        self._waiting_reported = False

    def observe(self, event: Record) -> None:
        """Say what there is to say."""
        self._tally.observe(event)
        if isinstance(event, StepDone):
            self._step(event)
        elif isinstance(event, StepReport):
            self._report = event
            if self._bar is not None:
                self._bar.set_postfix_str(f"loss {event.loss:.4g}", refresh=False)
        elif isinstance(event, RunStarted):
            self._start(event)
        elif isinstance(event, EvalDone):
            self._evaluation(event)
        elif isinstance(event, EpochDone):
            self._epoch(event)
        elif isinstance(event, Setback):
            self._setback(event)
        else:
            self._done(event)

    def close(self) -> None:
        """Clear the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _say(self, line: str) -> None:
        self._stream.write(escaped(line, keep="\n\t") + "\n")
        self._stream.flush()
        self._spoke = self._clock()

    def _start(self, event: RunStarted) -> None:
        self._started = event
        if not self._quiet:
            width = max((len(label) for label, _ in self._card), default=0)
            for label, text in self._card:
                self._say(f"{label:<{width}}  {text}")
            if event.step > 0:
                whole = event.epochs * event.steps_per_epoch
                self._say(f"resumed after step {event.step} of {whole}")
        self._open_bar(event.epoch + 1, done=event.step - event.epoch * event.steps_per_epoch)

    def _open_bar(self, epoch: int, *, done: int = 0) -> None:
        assert self._started is not None, "RunStarted comes first"
        if self._quiet or not self._terminal or epoch > self._started.epochs:
            return
        self._bar = tqdm(
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
        if self._bar is not None:
            self._bar.update()
        elif not (self._quiet or self._terminal) and self._clock() - self._spoke > SILENCE_SECONDS:
            self._say(self._progress(event))

    def _progress(self, event: StepDone) -> str:
        assert self._started is not None
        whole = self._started.epochs * self._started.steps_per_epoch
        line = f"epoch {event.epoch}/{self._started.epochs}  step {event.step}/{whole}"
        line += f"  lr {event.lr:.3g}"
        if self._report is not None:
            line += f"  loss {self._report.loss:.4g}"
            line += f"  {quantity(self._report.images_per_second)} images/s"
        return line

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
            star = " (best)" if event.is_best else ""
            parts.append(f"validation {result_text(event.validation, self._tally.task)}{star}")
        parts += [
            f"lr {event.lr:.3g}",
            f"{quantity(event.images_per_second or 0.0)} images/s",
            f"data wait {percent(event.data_wait, places=0)}",
            clock_time(event.seconds),
        ]
        return "  ".join(parts)

    def _done(self, event: RunDone) -> None:
        self.close()
        if self._quiet:
            self._say(closing_line(event, tally=self._tally, run=self._run))
            return
        rows = closing_rows(self._tally, best_epoch=event.best_epoch)
        print_table(rows, stream=self._stream, fancy=self._terminal)
        for line in closing_lines(event, tally=self._tally, run=self._run):
            self._say(line)


def is_terminal(stream: TextIO) -> bool:
    """Whether a bar can be drawn there: a terminal, not a dumb one, and of a known width."""
    if not stream.isatty() or os.environ.get("TERM") == "dumb":
        return False
    try:
        return os.get_terminal_size(stream.fileno()).columns > 0
    except (OSError, ValueError):  # a stream that only plays the terminal (a notebook's)
        return False
