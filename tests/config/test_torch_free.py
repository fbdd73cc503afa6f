"""Reading run files never imports torch: in a fresh process, for a good one and for a bad one."""

import subprocess
import sys

PROGRAM = """
import sys
from cnntrain.config import json_schema, shipped, resolved
from cnntrain.config.load import load
from cnntrain.core.errors import ConfigError
loaded = load(shipped.resolve("lenet5"))
resolved.with_origins(loaded), json_schema.run_schema(), json_schema.arch_schema()
try:
    load(shipped.resolve("lenet5"), ["train.optimizer.momentom=1", "data.name=minst"])
except ConfigError as error:
    assert len(error.problems) == 2, error
else:
    raise AssertionError
heavy = {"torch", "torchvision", "numpy", "sklearn"} & set(sys.modules)
assert not heavy, heavy
"""


def test_in_a_fresh_process() -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=60)
