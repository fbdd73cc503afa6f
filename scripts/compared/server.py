"""Runs commands of cnntrain one after the other, each in a fork of a process that has torch loaded.

Started by scripts/compare_versions with PYTHONPATH set to a checkout. Reads a JSON object a line:
`words` of the command, files for its `stdout` and `stderr`, and `stop`: null, or the number of an
optimizer's step and the name of the signal that the process then sends to itself. Answers with the
exit code, which is negative for a signal that ended the process.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import signal
import sys
import traceback
from typing import Any, NoReturn

import numpy

SLOW = (
    "torch",
    "torchvision",
    "torch.utils.tensorboard",
    "sklearn.datasets",
    "matplotlib.figure",
    "scipy.optimize",
    "PIL.Image",
    "cnntrain.cli.commands",
)
"""What takes long to import, and commands need."""
SECONDS = 300
"""After which a command is ended (by SIGALRM)."""


def signal_at(step: int, name: str) -> None:
    """Have this process send itself a signal after some optimizer's step."""
    from torch.optim.optimizer import register_optimizer_step_post_hook

    steps = iter(range(1, step + 1))

    def count(*_: Any) -> None:
        if next(steps, None) == step:
            os.kill(os.getpid(), signal.Signals[name])

    register_optimizer_step_post_hook(count)


def command(request: dict[str, Any]) -> NoReturn:
    """Be the command: its output goes into the files, and the process ends with its exit code."""
    for number, file in enumerate((os.devnull, request["stdout"], request["stderr"])):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        os.dup2(os.open(file, flags, 0o644), number)
    signal.alarm(SECONDS)
    random.seed(0)
    numpy.random.seed(0)  # libraries draw from these two, and checkpoints keep their state
    if request["stop"] is not None:
        signal_at(*request["stop"])
    sys.argv = ["cnntrain", *request["words"]]
    code: Any = 0
    try:
        importlib.import_module("cnntrain.cli.app").main()
    except SystemExit as end:
        code = end.code or 0
    except BaseException:  # noqa: BLE001  # what python itself would do
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


def main() -> None:
    for name in SLOW:
        importlib.import_module(name)
    cnntrain = importlib.import_module("cnntrain")
    print(json.dumps({"file": cnntrain.__file__}), flush=True)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            command(json.loads(line))
        _, status = os.waitpid(pid, 0)
        print(json.dumps({"code": os.waitstatus_to_exitcode(status)}), flush=True)


if __name__ == "__main__":
    main()
