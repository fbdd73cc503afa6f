"""What must answer at once: in a process of its own, nothing of this imports torch or numpy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
from cnntrain.cli.app import main

def run(*words, code):
    sys.argv = ["cnntrain", *words]
    try:
        main()
    except SystemExit as end:
        assert (end.code or 0) == code, (words, end.code)
    heavy = {"torch", "torchvision", "numpy", "sklearn", "matplotlib", "tensorboard"}
    assert not heavy & set(sys.modules), (words, heavy & set(sys.modules))

run("--help", code=0)
run("--version", code=0)
run("fit", "--help", code=0)
run("chek", code=2)
run("check", "no_such_file.yaml", code=2)
run("check", "broken.yaml", code=2)
run("fit", "broken.yaml", code=2)
run("fit", code=2)
run("show", "lenet5", code=0)
run("schema", code=0)
run("schema", "arch", code=0)
run("new", code=0)
run("new", "lenet5", "--out", "mine.yaml", code=0)
run("list", "layers", code=0)
run("list", "layers", "conv", code=0)
run("list", "transforms", "--json", code=0)
run("list", "datasets", code=0)
run("list", "configs", code=0)
run("list", "archs", code=0)
run("summary", "resnet999", code=2)
run("list", "--plugin", "plugin.py", "layers", "doubled", code=0)
"""
BROKEN = """
arch:
  layers:
    - conv: {out: 8, kernal: 3}
    - {linear: {out: $num_clases}}
data: {name: digits, batch_sise: 8}
train: {epochs: 1, optimizer: {name: sgd, lr: 0.1}}
"""
PLUGIN = """
import torch  # not to be imported to list what is here
from torch import nn
from cnntrain.layers import layer

@layer("doubled")
def doubled(*, factor: float = 2.0) -> nn.Module:
    \"\"\"Twice as much.\"\"\"
    raise AssertionError
"""


def test_without_torch(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text(BROKEN)
    (tmp_path / "plugin.py").write_text(PLUGIN)
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 0, ended.stderr
    assert "\x1b" not in ended.stdout + ended.stderr
    assert "\r" not in ended.stdout + ended.stderr
    for words in ("'kernal'", "'$num_clases'", "'batch_sise'"):  # all at once, and twice
        assert ended.stderr.count(words) == 2
