"""A run file with other values: what is read back is right, and nothing else has changed."""

from __future__ import annotations

import pytest

from cnntrain.config.edited import edited
from cnntrain.core.document import parse_document
from cnntrain.core.errors import UsageError

TEXT = """\
# The head: stays.
arch: archs/lenet5.yaml   # the network
data:   # where the images are
  name: mnist
  workers: 0   # for now
compute: {precision: float32, threads: 2}  # flow
train:
    # four blanks
    epochs: 20
    optimizer: {name: sgd, lr: 0.05}
"""


@pytest.mark.parametrize(
    ("values", "old", "new"),
    [
        ({"data.workers": 2}, "workers: 0   # for", "workers: 2   # for"),
        ({"compute.precision": "bfloat16"}, "precision: float32,", "precision: bfloat16,"),
        ({"compute.channels_last": False}, "{precision", "{channels_last: false, precision"),
        ({"train.accumulate": 2}, "    epochs: 20\n", "    accumulate: 2\n    epochs: 20\n"),
        ({"record.every": 9}, "lr: 0.05}\n", "lr: 0.05}\nrecord:\n  every: 9\n"),
    ],
)
def test_one_value(values: dict[str, object], old: str, new: str) -> None:
    assert TEXT.count(old) == 1
    assert edited(TEXT, values) == TEXT.replace(old, new)
    [(key, value)] = values.items()
    section, name = key.split(".")
    assert parse_document(edited(TEXT, values), name="x").data[section][name] == value


def test_several_values_and_an_empty_mapping() -> None:
    text = edited("compute: {}\ndata:\n  name: mnist", {"compute.compile": True, "data.workers": 1})
    assert parse_document(text, name="x").data == {
        "compute": {"compile": True},
        "data": {"workers": 1, "name": "mnist"},
    }
    found = edited("a: 1", {"record.every": 9})
    assert found == "a: 1\nrecord:\n  every: 9\n"


def test_a_section_in_another_file() -> None:
    with pytest.raises(UsageError, match="'arch' is not written out in this file"):
        edited(TEXT, {"arch.vars": 1})
