"""How the `cnntrain` command ends: signals, exit codes, and what becomes of an error."""

from __future__ import annotations

import atexit
import errno
import io
import os
import signal
import sys
import traceback
from typing import NoReturn

from cnntrain.core.errors import CnntrainError, DiskError, MemoryExhaustedError, UsageError
from cnntrain.core.interrupts import Interruptions
from cnntrain.core.launch import launched
from cnntrain.core.memory import is_out_of_memory
from cnntrain.core.plugins import plugin_failure
from cnntrain.core.stderr import say


def run() -> None:
    """Run the command line; every error ends in one message and the exit code of its kind."""
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name may have letters that it cannot encode
            stream.reconfigure(errors="backslashreplace")
    signals = Interruptions()
    try:
        with signals.raised():
            _call()
    except KeyboardInterrupt as stop:
        _fail(str(stop) or "stopped by Ctrl-C", getattr(stop, "exit_code", 130), prefix="")
    except SystemExit as end:
        if signals.received is not None and not end.code:  # a library has swallowed it
            _fail(str(signals.received), signals.received.exit_code, prefix="")
        raise
    finally:
        _forsake_failed_streams()
        atexit.register(_end_quietly)


def _call() -> None:
    try:
        from cnntrain.cli import output
        from cnntrain.cli.commands import app

        output.failures.clear()
        try:
            app(prog_name="cnntrain")
        except SystemExit as end:
            _end(end, output.failures)
    except CnntrainError as error:
        _fail(str(error), error.exit_code)
    except MemoryError:
        _fail(_OUT_OF_MEMORY, MemoryExhaustedError.exit_code)
    except OSError as error:
        _fail_system(error)
    except Exception as error:  # noqa: BLE001  # the last resort: said in one line, as a bug
        if is_out_of_memory(error):
            _fail(_OUT_OF_MEMORY, MemoryExhaustedError.exit_code)
        if isinstance(error, RuntimeError) and any(words in str(error) for words in _NO_THREADS):
            _fail(_OUT_OF_THREADS, MemoryExhaustedError.exit_code)
        _fail_plugin(error)
        bug = f"internal error (please report): {type(error).__name__}: {error}"
        _fail(f"{bug} (CNNTRAIN_DEBUG=1 shows the traceback)", 1)


_OUT_OF_MEMORY = (
    "the memory is used up; use a smaller data.batch_size and data.eval_batch_size, fewer or "
    "smaller images, a smaller network, or compute.precision: bfloat16"
)


_NO_THREADS = ("can't start new thread", "Resource temporarily unavailable")
"""Python's words and those of the C++ library, which torch passes on."""

_OUT_OF_THREADS = (
    "no more threads or processes can be started; lower data.workers and compute.threads, or raise "
    "the limits of memory and processes (`ulimit -v`, `ulimit -u`)"
)


def _end(end: SystemExit, failures: list[OSError]) -> NoReturn:
    """typer turns Ctrl-C and a reader that went away (`| head`) into silent exits: say which."""
    why = end.__context__
    interrupt = getattr(why, "__cause__", None)
    if isinstance(interrupt, KeyboardInterrupt):
        raise interrupt
    if isinstance(why, BrokenPipeError):
        sys.exit(_code_behind(why) or 0)
    lost = [error for error in failures if error.errno != errno.EPIPE]
    if lost and not end.code:
        _fail(f"{lost[0].strerror}: the output on stdout is incomplete", DiskError.exit_code)
    raise end


def _fail_system(error: OSError) -> None:
    """An error of the system that nobody has put in words: a file that may not be touched, ..."""
    if _code_behind(error):  # the message of another error could not be written
        sys.exit(_code_behind(error))
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG):
        _fail(f"{error.strerror}: {error.filename or 'while writing'}", DiskError.exit_code)
    if error.errno == errno.ENOMEM:
        _fail(_OUT_OF_MEMORY, MemoryExhaustedError.exit_code)
    if error.errno == errno.EAGAIN and error.filename is None:
        _fail(_OUT_OF_THREADS, MemoryExhaustedError.exit_code)
    if error.errno in (errno.EMFILE, errno.ENFILE):
        text = "too many files are open at once; raise the limit (`ulimit -n 4096`)"
        _fail(f"{text}, or lower data.workers", UsageError.exit_code)
    _fail_plugin(error)
    if error.filename is not None:
        _fail(f"{error.strerror}: {error.filename}", UsageError.exit_code)
    _fail(str(error), CnntrainError.exit_code)


def _code_behind(error: OSError) -> int | None:
    """The exit code of the mistake on the command line that typer was saying when this came."""
    code = getattr(error.__context__, "exit_code", None)
    return code if isinstance(code, int) else None


def _fail_plugin(error: Exception) -> None:
    """An exception in a user's own file names its line."""
    failure = plugin_failure(error)
    if failure is not None:
        _fail(str(failure), failure.exit_code)


def _fail(message: str, code: int, *, prefix: str = "error: ") -> NoReturn:
    if _is_said_already():
        sys.exit(code)
    if os.environ.get("CNNTRAIN_DEBUG") == "1":
        say(traceback.format_exc().rstrip(), keep="\n\t")
    say(message if "\n" in message else prefix + message, keep="\n\t")
    sys.exit(code)


def _is_said_already() -> bool:
    """Whether another of several processes that train together has said why they end."""
    try:
        if launched().count == 1:
            return False
    except CnntrainError:
        return False
    from cnntrain.train.together import is_first_to_fail

    return not is_first_to_fail()


def _open_closed_streams() -> None:
    """A stream that was closed by the caller (`2>&-`) would be the next file that is opened."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number, which is this one
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115


def _forsake_failed_streams() -> None:
    """What the buffer of a full or closed stream holds would turn the exit code into 120."""
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except (OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)


def _end_quietly() -> None:
    """All is done: from here on Ctrl-C ends Python without a traceback."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
