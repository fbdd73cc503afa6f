"""Every key of a run file, with type and default, against `keys.txt`: no key changes by accident.

After a deliberate change: `CNNTRAIN_REGENERATE=1 pytest tests/config/test_keys.py`.
"""

import os
from pathlib import Path

from pydantic_core import PydanticUndefined

from cnntrain.config.data_section import Data
from cnntrain.config.keys import Key, all_keys, fields_of
from cnntrain.config.section import Section
from cnntrain.data import DATASETS

KEYS = Path(__file__).parent / "keys.txt"


def _line(key: Key) -> str:
    default = key.field.get_default(call_default_factory=True)
    if default is PydanticUndefined:
        text = "required"
    elif isinstance(default, Section):
        text = "{...}"
    else:
        text = f"{default!r}"
    member = f" ({key.member})" if key.member else ""
    return f"{key.path}{member}: {text}"


def test_snapshot() -> None:
    text = "\n".join(dict.fromkeys(_line(key) for key in all_keys())) + "\n"
    if os.environ.get("CNNTRAIN_REGENERATE"):
        KEYS.write_text(text)
    assert text == KEYS.read_text()


def test_every_key_has_a_description_of_one_line() -> None:
    for key in all_keys():
        description = key.field.description or ""
        assert description.endswith("."), key.path
        assert "\n" not in description, key.path


def test_no_data_set_uses_a_common_key() -> None:
    common = set(fields_of(Data))
    for entry in DATASETS.entries():
        assert not common & {parameter.name for parameter in entry.parameters}, entry.name
