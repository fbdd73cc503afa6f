"""Every key of a run file, with type and default, against `keys.txt`: no key changes by accident.

After a deliberate change: `CNNTRAIN_REGENERATE=1 pytest tests/config/test_keys.py`.
"""

import os
from pathlib import Path

import pytest

from cnntrain.config.keys import Key, all_keys
from cnntrain.config.schema import CHOICE_SECTIONS
from cnntrain.config.section import Choice, Section, fields_of, other_defaults

KEYS = Path(__file__).parent / "keys.txt"


def _line(key: Key) -> str:
    text = "{...}" if isinstance(key.default, Section) else f"{key.default!r}"
    text = "required" if key.required else text
    member = f" ({key.member})" if key.member else ""
    return f"{key.path}{member}: {text}"


def test_snapshot() -> None:
    text = "\n".join(dict.fromkeys(_line(key) for key in all_keys())) + "\n"
    if os.environ.get("CNNTRAIN_REGENERATE"):
        KEYS.write_text(text)
    assert text == KEYS.read_text()


def test_every_key_has_a_description_of_one_line() -> None:
    for key in all_keys():
        assert key.description.endswith("."), key
        assert "\n" not in key.description, key.path


@pytest.mark.parametrize("section", CHOICE_SECTIONS.values())
def test_no_choice_has_a_common_key_as_its_own(section: type[Choice]) -> None:
    common = set(fields_of(section))
    for entry in section.catalogue.entries():
        assert not common & {parameter.name for parameter in entry.parameters}, entry.name
        assert set(other_defaults(entry)) <= common, entry.name
