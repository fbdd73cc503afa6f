"""What users of other programs type is answered with the line that does it here.

The right lines are written out by hand; that their options and keys exist is shown by running
them to the point where the data are missing.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cnntrain.cli import habits

Cnntrain = Callable[..., Any]


@pytest.mark.parametrize(
    ("typed", "right"),
    [
        ("fit digits --lr 0.1", "fit digits -s train.optimizer.lr=0.1"),
        ("fit digits --learning-rate=0.1", "fit digits -s train.optimizer.lr=0.1"),
        ("fit digits --learning_rate 0.1 -q", "fit digits -s train.optimizer.lr=0.1 -q"),
        ("fit --batch-size 16 digits", "fit digits -s data.batch_size=16"),
        (
            "fit digits --batch 16 --lr 1",
            "fit digits -s data.batch_size=16 -s train.optimizer.lr=1",
        ),
        ("fit digits -b 16 --epochs 3", "fit digits -s data.batch_size=16 --epochs 3"),
        ("fit digits --device cuda", "fit digits -s compute.device=cuda"),
        ("fit digits --device 0", "fit digits -s compute.device=cuda:0"),
        ("fit digits --workers 4", "fit digits -s data.workers=4"),
        ("fit digits --name first", "fit digits -s name=first"),
        ("fit starter --data my_images", "fit starter -s data.root=my_images"),
        ("fit starter --data 'my images'", "fit starter -s 'data.root=my images'"),
        ("fit --data my_images --batch 8", "fit my_images -s data.batch_size=8"),
        ("fit starter --pretrained", "fit finetune"),
        ("fit starter --data x --pretrained", "fit finetune -s data.root=x"),
        ("fit there --pretrained", "fit finetune -s data.root=there"),
        (
            "fit starter --imgsz 96",
            "fit starter -s 'data.transforms.train=[{random_resized_crop: {size: 96}}, "
            "horizontal_flip, normalize]' -s 'data.transforms.eval=[{resize: {size: 96}}, "
            "{center_crop: {size: 96}}, normalize]'",
        ),
        ("train digits", "fit digits"),
        ("train.py digits --lr 0.1", "fit digits -s train.optimizer.lr=0.1"),
        ("fit --config digits --num-epochs 3", "fit digits --epochs 3"),
        ("test runs/x", "eval runs/x"),
        ("val runs/x", "eval runs/x"),
        ("infer runs/x a.jpg", "predict runs/x a.jpg"),
        ("detect runs/x a.jpg", "predict runs/x a.jpg"),
        ("classify runs/x a.jpg", "predict runs/x a.jpg"),
        ("visualize maps runs/x a.jpg", "visualize maps runs/x --image a.jpg"),
        (
            "visualize maps runs/x --layer conv1 a.jpg",
            "visualize maps runs/x --layer conv1 --image a.jpg",
        ),
        ("predict a.jpg", "predict RUN a.jpg"),
        ("fit digits --silent", "fit digits --quiet"),
        ("eval runs/x -q --split train", "eval runs/x --split train"),
        ("data check digits --quiet", "data check digits"),
        ("predict a.JPG b.jpg", "predict RUN a.JPG b.jpg"),
        ("predict there", "predict RUN there"),
        ("predict runs/x a.jpg --device cpu", "predict runs/x a.jpg -s compute.device=cpu"),
    ],
)
def test_the_right_line_is_given(cnntrain: Cnntrain, typed: str, right: str) -> None:
    Path("there").mkdir()
    answer = cnntrain(*shlex.split(typed))
    assert answer.code == 2
    assert answer.err.startswith("error: ")
    assert answer.err.endswith(f"; write `cnntrain {right}`\n")
    assert not answer.out


def test_the_message_names_what_is_wrong(cnntrain: Cnntrain) -> None:
    assert cnntrain("train", "digits", "--lr", "1").err == (
        "error: cnntrain has no command 'train'; fit has no option --lr; "
        "write `cnntrain fit digits -s train.optimizer.lr=1`\n"
    )


def test_an_image_without_a_run_gets_the_newest_one(cnntrain: Cnntrain) -> None:
    Path("runs/first/latest").mkdir(parents=True)
    assert "write `cnntrain predict runs/first a.jpg`" in cnntrain("predict", "a.jpg").err


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("fit digits --nonsense 1", "No such option: --nonsense"),
        ("nonsense digits", "No such command 'nonsense'"),
        ("summary lenet5 --lr 1", "No such option: --lr"),
        ("eval runs/x --lr 1", "No such option: --lr"),
        ("fit digits -s train.optimiser.lr=1", "unknown key 'optimiser'"),
        ("predict runs/x", "Missing argument 'PATH...'"),
        ("fit", "give either a run file or a run to resume"),
        ("--lr 1", "No such option: --lr"),
    ],
)
def test_other_mistakes_keep_their_message(cnntrain: Cnntrain, typed: str, says: str) -> None:
    answer = cnntrain(*typed.split())
    assert answer.code == 2
    assert says in answer.err
    assert "write `cnntrain" not in answer.err


SETTINGS = {
    "train.optimizer.lr": "0.1", "train.optimizer.weight_decay": "0.1",
    "train.optimizer.momentum": "0.5", "train.optimizer.name": "adamw",
    "train.schedule.name": "cosine", "train.loss.label_smoothing": "0.1",
    "train.early_stop.patience": "3", "data.batch_size": "16", "data.workers": "2",
    "data.root": "x", "data.split.validation": "0.1", "compute.device": "cpu",
    "compute.threads": "1", "seed": "1", "name": "x", "record.root": "x", "arch": "lenet5",
}  # fmt: skip


@pytest.mark.parametrize("option", [o for options in habits.OPTIONS for o in options.split()[:1]])
def test_each_form_can_be_pasted(cnntrain: Cnntrain, option: str) -> None:
    """What is suggested for `fit` passes `check`, where it is a setting."""
    form = habits.OPTIONS[next(key for key in habits.OPTIONS if key.split()[0] == option)]
    if not form.startswith("-s"):
        assert re.fullmatch(r"(--(epochs|out|resume|image) )?\{\}|finetune|--quiet", form)
        return
    key = form.split()[1].partition("=")[0]
    words = [word.replace("{}", SETTINGS.get(key, "64")) for word in shlex.split(form)]
    file = "lenet5" if key == "arch" else "starter"
    extra = ["-s", "train.optimizer.name=sgd"] if key == "train.optimizer.momentum" else []
    answer = cnntrain("check", file, *extra, *words)
    assert "unknown key" not in answer.err
    assert answer.code in (0, 3), answer.err
