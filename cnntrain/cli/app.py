"""The `cnntrain` command: its commands, its exit codes, and what becomes of an error."""

from __future__ import annotations

import errno
import io
import os
import sys
import traceback
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Annotated, Any, NoReturn

import typer

from cnntrain.cli import (
    ablate,
    check,
    compare,
    data,
    evaluate,
    fit,
    listing,
    new,
    output,
    predict,
    recalibrate,
    schema,
    show,
    summary,
)
from cnntrain.cli.pictures import PictureCommands
from cnntrain.core.errors import CnntrainError, DiskError, MemoryExhaustedError, UsageError
from cnntrain.core.version import __version__

EXIT_CODES = (
    "Exit codes: 0 done, 1 internal error (please report), 2 usage or configuration, 3 data, "
    "4 checkpoint, 5 diverged, 6 out of memory, 7 disk, 130 Ctrl-C, 143 SIGTERM after saving."
)


class _Commands(PictureCommands):
    """The commands; a wrong choice such as `--to onx` is said without pydantic's "Value error"."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            said: Any = error
            if isinstance(getattr(error, "message", None), str):
                said.message = said.message.removeprefix("Value error, ")
            raise


app = typer.Typer(
    cls=_Commands,
    help="Train, check, explain and reuse convolutional networks that are described in YAML.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: no boxes, and no colours that NO_COLOR does not turn off
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _add_if_there(name: str) -> None:
    """Add the command of a room that no other room needs; it is absent with its file."""
    if find_spec(f"cnntrain.cli.{name}") is None:
        return
    module = import_module(f"cnntrain.cli.{name}")
    if hasattr(module, "app"):
        app.add_typer(module.app, name=name)
    else:
        app.command(name)(getattr(module, name))


app.command("fit")(fit.fit)
app.command("eval")(evaluate.evaluate)
app.command("predict")(predict.predict)
_add_if_there("export")
app.command("recalibrate")(recalibrate.recalibrate)
_add_if_there("visualize")
_add_if_there("features")
app.command("ablate")(ablate.ablate)
app.command("check")(check.check)
app.command("show")(show.show)
app.command("summary")(summary.summary)
app.command("compare")(compare.compare)
_add_if_there("diagnose")
app.command("list")(listing.listing)
app.command("schema")(schema.schema)
app.command("new")(new.new)
app.add_typer(data.app, name="data")


def _show_versions(wanted: bool) -> None:
    if wanted:
        others = (f"{name} {version(name)}" for name in ("torch", "torchvision"))
        typer.echo(f"cnntrain {__version__} ({', '.join(others)})")
        raise typer.Exit


@app.callback()
def _options(
    shows_version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the versions.", is_eager=True, callback=_show_versions
        ),
    ] = False,
) -> None:
    """Take the options that stand before a command."""


def main() -> None:
    """Run the command line; every error ends in one message and the exit code of its kind."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name may have letters that it cannot encode
            stream.reconfigure(errors="backslashreplace")
    try:
        app(prog_name="cnntrain")
    except SystemExit as end:
        _end(end)
    except CnntrainError as error:
        _fail(str(error), error.exit_code)
    except MemoryError:
        _fail(_OUT_OF_MEMORY, MemoryExhaustedError.exit_code)
    except OSError as error:
        _fail_system(error)
    except Exception as error:  # noqa: BLE001  # the last resort: said in one line, as a bug
        if _is_out_of_memory(error):
            _fail(_OUT_OF_MEMORY, MemoryExhaustedError.exit_code)
        if isinstance(error, RuntimeError) and any(words in str(error) for words in _NO_THREADS):
            _fail(_OUT_OF_THREADS, MemoryExhaustedError.exit_code)
        bug = f"internal error (please report): {type(error).__name__}: {error}"
        _fail(f"{bug} (CNNTRAIN_DEBUG=1 shows the traceback)", 1)


_OUT_OF_MEMORY = (
    "the memory is used up; use a smaller data.batch_size, or train.accumulate to pass each batch "
    "in parts, or compute.precision: bfloat16"
)

_NO_THREADS = ("can't start new thread", "Resource temporarily unavailable")
"""Python's words and those of the C++ library, which torch passes on."""

_OUT_OF_THREADS = (
    "no more threads or processes can be started; lower data.workers and compute.threads, or raise "
    "the limits of memory and processes (`ulimit -v`, `ulimit -u`)"
)


def _end(end: SystemExit) -> None:
    """typer turns Ctrl-C and a reader that went away (`| head`) into silent exits: say which."""
    why = end.__context__
    interrupt = getattr(why, "__cause__", None)
    if isinstance(interrupt, KeyboardInterrupt):
        message, code = str(interrupt), getattr(interrupt, "exit_code", 130)
        _fail(message or "stopped by Ctrl-C", code, prefix="")
    if isinstance(why, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(0)
    raise end


def _fail_system(error: OSError) -> None:
    """An error of the system that nobody has put in words: a file that may not be touched, ..."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO):
        _fail(f"{error.strerror}: {error.filename or 'while writing'}", DiskError.exit_code)
    if error.errno == errno.ENOMEM:
        _fail(_OUT_OF_MEMORY, MemoryExhaustedError.exit_code)
    if error.errno == errno.EAGAIN and error.filename is None:
        _fail(_OUT_OF_THREADS, MemoryExhaustedError.exit_code)
    if error.errno in (errno.EMFILE, errno.ENFILE):
        text = "too many files are open at once; raise the limit (`ulimit -n 4096`)"
        _fail(f"{text}, or lower data.workers", UsageError.exit_code)
    if error.filename is not None:
        _fail(f"{error.strerror}: {error.filename}", UsageError.exit_code)
    _fail(str(error), CnntrainError.exit_code)


def _is_out_of_memory(error: Exception) -> bool:
    """Whether torch says so; by name and words, because torch need not have been imported."""
    allocators = ("DefaultCPUAllocator: can't allocate memory", "CUDA error: out of memory")
    return type(error).__name__ == "OutOfMemoryError" or any(
        words in str(error) for words in allocators
    )


def _fail(message: str, code: int, *, prefix: str = "error: ") -> NoReturn:
    if os.environ.get("CNNTRAIN_DEBUG") == "1":
        traceback.print_exc()
    output.note(message if "\n" in message else prefix + message)
    sys.exit(code)
