"""`cnntrain new`: copies of shipped files, which work by themselves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cnntrain.config import shipped
from cnntrain.config.arch_header import header_text, read_header

Cnntrain = Callable[..., Any]

ARCHS = shipped.files(among="archs/")


def copy_and_look(name: str, cnntrain: Cnntrain) -> None:
    """Its counts are those of the shipped header, which are tested against other sources."""
    copy = f"{ARCHS[name].stem}.yaml"
    answer = cnntrain("new", name)
    assert (answer.code, answer.out) == (0, f"{copy}\n")
    answer = cnntrain("summary", copy, "--json")
    assert (answer.code, answer.err) == (0, "")
    found, header = json.loads(answer.out), read_header(ARCHS[name])
    counts = {"parameters": header.parameters, "multiply_adds": header.multiply_adds}
    assert found.items() >= counts.items()
    assert found["input_shape"] == [header.channels, header.size, header.size]
    assert header_text(Path(copy)).endswith(f"Try: cnntrain summary {copy}")
    Path(copy).unlink()


@pytest.mark.parametrize("name", ["convnext_tiny", "googlenet", "lenet5_1998", "wide_resnet28_10"])
def test_a_copy_of_an_architecture_works_by_itself(name: str, cnntrain: Cnntrain) -> None:
    """With `$copy`, auxiliary heads, tables, variables."""
    copy_and_look(f"archs/{name}", cnntrain)


@pytest.mark.slow
def test_copies_of_many_work(cnntrain: Cnntrain) -> None:
    """One of five: planning all takes 50 s."""
    for name in list(ARCHS)[::5]:
        copy_and_look(name, cnntrain)
    assert len(ARCHS) > 100


def test_what_comes_next_is_said_and_works(cnntrain: Cnntrain) -> None:
    commands = cnntrain("new", "archs/resnet20").err.split("`")[1::2]
    assert commands == [
        "cnntrain summary resnet20.yaml",
        "cnntrain compare archs/resnet20 resnet20.yaml",
        "arch: resnet20.yaml",
    ]
    file = Path("resnet20.yaml")
    file.write_text(file.read_text("utf-8").replace("width: 16", "width: 32"), "utf-8")
    for command in commands[:2]:
        assert cnntrain(*command.split()[1:]).code == 0
    found = json.loads(cnntrain(*commands[1].split()[1:], "--json").out)
    assert found["ratio"]["parameters"] > 3.9
    run_file = cnntrain("new", "resnet20_cifar10").out.strip()
    assert cnntrain("summary", run_file, "-s", commands[2].replace(": ", "=")).code == 0


def test_a_name_as_it_is_for_other_commands(cnntrain: Cnntrain) -> None:
    assert cnntrain("new", "mobilenet_v2").out == "mobilenet_v2.yaml\n"
    answer = cnntrain("new", "archs/MobileNetV3-Large", "--out", "nets/mine.yaml")
    assert answer.code == 2
    assert "did you mean 'archs/mobilenet_v3_large'" in answer.err
    answer = cnntrain("new", "archs/mobilenet_v3_large", "--out", "my nets/mine.yaml")
    assert (answer.code, answer.out) == (0, "my nets/mine.yaml\n")
    assert "`cnntrain summary 'my nets/mine.yaml'`" in answer.err


def test_nothing_is_overwritten(cnntrain: Cnntrain) -> None:
    """The run file and the architecture of one name would be the same file."""
    assert cnntrain("new").out == "starter.yaml\n"
    before = Path("starter.yaml").read_bytes()
    answer = cnntrain("new", "archs/starter")
    assert answer.code == 2
    assert "starter.yaml already exists" in answer.err
    assert Path("starter.yaml").read_bytes() == before
    remedy = answer.err.split("`")[1]
    assert remedy == "cnntrain new archs/starter --out my_starter.yaml"
    assert cnntrain(*remedy.split()[1:]).code == 0
