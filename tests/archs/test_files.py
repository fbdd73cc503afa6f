"""The files themselves: short, with a header, and alike where the paper has one table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "configs" / "archs"
FILES = sorted(FOLDER.glob("*.yaml"))
every_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def header_and_body(file: Path) -> tuple[str, str]:
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    start = next(i for i, line in enumerate(lines) if not line.startswith("#"))
    return "".join(lines[:start]), "".join(lines[start:])


@every_file
def test_a_file_opens_with_its_source_and_a_command(file: Path) -> None:
    header, body = header_and_body(file)
    assert header.endswith(f"# Try: cnntrain summary archs/{file.stem}\n")
    assert "parameters" in header
    lines = (header + body).splitlines()
    assert len(lines) < 80
    assert max(map(len, lines)) <= 100
    for mentioned in re.findall(r"configs/weights/\w+\.yaml", header):
        assert (FOLDER.parents[1] / mentioned).is_file()
    for mentioned in re.findall(r"archs/(\w+)", header):
        assert (FOLDER / f"{mentioned}.yaml").is_file()


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        *[("alexnet", 35), ("alexnet_groups", 35), ("alexnet_torchvision", 35)],
        *[("googlenet", 60), ("googlenet_torchvision", 60), ("resnet50", 45)],
    ],
)
def test_how_short_the_showcases_are(name: str, limit: int) -> None:
    assert len((FOLDER / f"{name}.yaml").read_text(encoding="utf-8").splitlines()) < limit


FAMILIES = [
    ["resnet20", "resnet32", "resnet44", "resnet56", "resnet110"],
    ["plain20", "plain32", "plain44", "plain56", "plain110"],
    ["resnet18", "resnet34"],
    ["resnet50", "resnet101", "resnet152"],
    ["resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d"],
    ["wide_resnet50_2", "wide_resnet101_2"],
    ["densenet121", "densenet161", "densenet169", "densenet201"],
    ["shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "shufflenet_v2_x1_5", "shufflenet_v2_x2_0"],
    ["mnasnet0_5", "mnasnet0_75", "mnasnet1_0", "mnasnet1_3"],
    [f"efficientnet_b{n}" for n in range(8)],
    ["plain18", "plain34"],
    ["resnet18_zero_pad", "resnet34_zero_pad"],
    ["vgg_a", "vgg_b", "vgg_d", "vgg_e"],
    ["vgg_a_bn", "vgg_b_bn", "vgg_d_bn", "vgg_e_bn"],
    ["convnext_tiny", "convnext_small", "convnext_base"],
    ["regnet_x_400mf", "regnet_x_1_6gf"],
    ["regnet_y_400mf", "regnet_y_1_6gf"],
]


def numbers_out(body: str) -> str:
    """A body with N in place of each number in its `vars:`."""
    variables, rest = body.split("blocks:\n", 1)
    return re.sub(r"(?<=: )[\d.][\d.e-]*", "N", variables) + rest


@pytest.mark.parametrize("names", FAMILIES, ids=lambda names: names[0])
def test_columns_of_one_table_differ_only_in_numbers(names: list[str]) -> None:
    bodies = [header_and_body(FOLDER / f"{name}.yaml")[1] for name in names]
    keys = "blocks|convs|n|width|groups|growth|repeat|out|last|depth|dropout|epsilon|momentum|size"
    stripped = {
        re.sub(rf"\b({keys}): [\d.][\d.e-]*( *)", r"\1: N", body)
        for body in map(numbers_out, bodies)
    }
    assert len({re.sub(r" +#", " #", body) for body in stripped}) == 1
    assert len(set(bodies)) == len(names)
