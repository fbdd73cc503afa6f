"""What users of other programs type: the same in cnntrain's words, as a line that can be pasted.

Nothing of this is obeyed. It is looked at when a command line is wrong, and the message then has
the whole line as it should be. A new habit is a row of one of the two tables.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cnntrain.core.errors import UsageError

PRETRAINED = "finetune"  # the shipped run file, in place of the one that was given
QUIET = "--quiet"  # a flag of `fit` alone: other commands print nothing but results on stdout

COMMANDS = {
    "train train.py learn finetune": "fit",
    "resume": "fit --resume",
    "test test.py val val.py valid validate evaluate score": "eval",
    "infer inference detect detect.py classify predict.py": "predict",
    "init create": "new",
    "info describe": "summary",
    "plot draw": "visualize",
    "convert": "export",
}
"""Names that commands have elsewhere, and the command."""

OPTIONS = {
    "--lr --learning-rate --lr0 --base-lr": "-s train.optimizer.lr={}",
    "--weight-decay --wd": "-s train.optimizer.weight_decay={}",
    "--momentum": "-s train.optimizer.momentum={}",
    "--optimizer --opt --optim": "-s train.optimizer.name={}",
    "--scheduler --sched --lr-scheduler": "-s train.schedule.name={}",
    "--label-smoothing": "-s train.loss.label_smoothing={}",
    "--patience": "-s train.early_stop.patience={}",
    "--num-epochs --n-epochs --max-epochs -e": "--epochs {}",
    "--batch-size --batch --bs -b": "-s data.batch_size={}",
    "--imgsz --img-size --image-size --input-size --size": (
        "-s 'data.transforms.train=[{random_resized_crop: {size: {}}}, horizontal_flip, normalize]'"
        " -s 'data.transforms.eval=[{resize: {size: {}}}, {center_crop: {size: {}}}, normalize]'"
    ),
    "--workers --num-workers -j": "-s data.workers={}",
    "--data --data-dir --data-path --dataset --root --source": "-s data.root={}",
    "--val-split --valid-pct --validation-split": "-s data.split.validation={}",
    "--device --gpu --gpus": "-s compute.device={}",
    "--cpu --no-cuda": "-s compute.device=cpu",
    "--cuda": "-s compute.device=cuda",
    "--threads": "-s compute.threads={}",
    "--amp --fp16 --half --bf16": "-s compute.precision=bfloat16",
    "--compile": "-s compute.compile=true",
    "--seed": "-s seed={}",
    "--name --exp-name --experiment": "-s name={}",
    "--project": "-s record.root={}",
    "--pretrained --finetune --transfer": PRETRAINED,
    "--model --arch -a": "-s arch=archs/{}.yaml",
    "--output --output-dir --save-dir --out-dir -o": "--out {}",
    "--checkpoint --ckpt": "--resume {}",
    "--config --cfg -c": "{}",
    "--img --images": "--image {}",
    "--quiet --silent -q": QUIET,
}
"""Options that other programs have, and the words here; `{}` is the value, if it takes one."""

_COMMANDS = {old: new for olds, new in COMMANDS.items() for old in olds.split()}
_OPTIONS = {old: new for olds, new in OPTIONS.items() for old in olds.split()}


@dataclass
class _Line:
    """A command line that is being put right.

    Args:
        wrong: what is to be said of each word that cannot stay.
        command: such as `visualize maps`.
        options: those that the command has, and whether they take a value.
        most: arguments that the command takes.
        arguments: those that were given.
        rest: the options that were given, with their values.
    """

    wrong: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    options: dict[str, bool] = field(default_factory=dict)
    most: float = 0
    arguments: list[str] = field(default_factory=list)
    rest: list[str] = field(default_factory=list)


def corrected(words: Sequence[str], *, commands: Any, context: Any) -> UsageError | None:
    """The message for a command line that is wrong by habit; None where no habit is known.

    Args:
        words: of the command line, without `cnntrain`.
        commands: typer's group of all commands.
        context: typer's context of the group.
    """
    line = _Line()
    words = _find_command(line, list(words), commands, context)
    _translate(line, words)
    _name_folder(line)
    _name_run(line)
    _name_images(line)
    if not line.wrong or not line.command:
        return None
    right = shlex.join(["cnntrain", *line.command, *line.arguments, *line.rest])
    return UsageError("; ".join(line.wrong), remedy=f"write `{right}`")


def _find_command(line: _Line, words: list[str], commands: Any, context: Any) -> list[str]:
    """Follow the words of the command as far as they are known; the other words."""
    found = commands
    while hasattr(found, "get_command") and words:
        word, *rest = words
        inner = found.get_command(context, word)
        if inner is None and found is commands and word.lower() in _COMMANDS:
            line.wrong.append(f"cnntrain has no command '{word}'")
            word, *more = _COMMANDS[word.lower()].split()
            rest = more + rest
            inner = found.get_command(context, word)
        if inner is None:
            return words
        line.command.append(word)
        words, found = rest, inner
    for each in found.params:
        if each.param_type_name == "argument":
            line.most += math.inf if each.nargs == -1 else 1
        for option in (*each.opts, *each.secondary_opts):
            line.options[option] = not getattr(each, "is_flag", False)
    return words


def _translate(line: _Line, words: Sequence[str]) -> None:
    """Sort the words after the command; those of other programs are put in cnntrain's form."""
    waiting = iter(words)
    for word in waiting:
        option, equals, value = word.partition("=")
        form = None if option in line.options else _form(option, line)
        if not word.startswith("-"):
            line.arguments.append(word)
        elif form is None:
            takes_value = line.options.get(option, False) and not equals
            line.rest += [word, *([next(waiting, "VALUE")] if takes_value else [])]
        else:
            line.wrong.append(f"{' '.join(line.command)} has no option {option}")
            if form == QUIET:
                if QUIET in line.options:
                    line.rest.append(QUIET)
                else:
                    line.wrong[-1] += (
                        ": stdout has its results alone, and 2>/dev/null hides the rest"
                    )
                continue
            if form == PRETRAINED:
                folders = [f"data.root={path}" for path in line.arguments if Path(path).is_dir()]
                line.arguments = [PRETRAINED]
                line.rest += [word for setting in folders for word in ("-s", setting)]
                continue
            if "{}" in form and not equals:
                value = next(waiting, "VALUE")
            if "device" in form and value.isdecimal():
                value = f"cuda:{value}"
            found = [part.replace("{}", value) for part in shlex.split(form)]
            is_option = found[0].startswith("-")
            (line.rest if is_option else line.arguments).extend(found)


def _form(option: str, line: _Line) -> str | None:
    """What stands here for an option of other programs; None: that is not known."""
    is_short = len(option) == 2
    form = _OPTIONS.get(option if is_short else option.lower().replace("_", "-"))
    if form == QUIET:
        return form
    if form is None or not form.startswith("-"):
        return form if line.command == ["fit"] else None
    flag, setting = form.split(maxsplit=1)
    trains = line.command[:1] in (["fit"], ["check"], ["show"], ["diagnose"], ["data"], ["ablate"])
    is_free = (
        trains or flag != "-s" or setting.startswith(("compute.", "data.root", "data.workers"))
    )
    return form if flag in line.options and is_free else None


def _name_folder(line: _Line) -> None:
    """`fit --data FOLDER`: without a run file the folder stands in its place."""
    given = [word for word in line.rest if word.startswith("data.root=")]
    if line.wrong and line.command == ["fit"] and given and not line.arguments:
        at = line.rest.index(given[0])
        del line.rest[at - 1 : at + 1]
        line.arguments = [given[0].removeprefix("data.root=")]


def _name_run(line: _Line) -> None:
    """`predict IMAGE`: which network?"""
    given = [Path(word) for word in line.arguments]
    if line.command != ["predict"] or not given:
        return
    from cnntrain.data.decode import SUFFIXES
    from cnntrain.runs.locate import has_run

    is_image = given[0].suffix.lower() in SUFFIXES
    is_folder = len(given) == 1 and given[0].is_dir() and not has_run(given[0])
    if is_image or is_folder:
        latest = sorted(Path("runs").glob("*/latest"), key=lambda path: path.stat().st_mtime)
        run = str(latest[-1].parent) if latest else "RUN"
        line.wrong.append(f"which network? {given[0]} is {'an image' if is_image else 'no run'}")
        line.arguments.insert(0, run)


def _name_images(line: _Line) -> None:
    """`visualize maps RUN IMAGE`: images are given with an option there."""
    if line.most == math.inf or "--image" not in line.options:
        return
    most = int(line.most)
    line.arguments, extra = line.arguments[:most], line.arguments[most:]
    if extra:
        line.wrong.append(f"{' '.join(extra)} stands without an option")
    line.rest += [word for image in extra for word in ("--image", image)]
