"""From pydantic's errors to sentences."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cnntrain.core.complaints import Complaint, complaints, dotted, real_path, shown


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class One(_Strict):
    name: Literal["one"]
    size: int = Field(default=1, ge=1, le=9)


class Two(_Strict):
    name: Literal["two"]
    flag: bool | Literal["auto"] = "auto"


class Top(_Strict):
    choice: Annotated[One | Two, Field(discriminator="name")]
    section: One | None = None
    rate: float | None = None
    items: list[int] = Field(default_factory=list)


KNOWN = ["name", "size", "flag", "choice", "rate", "items"]


@pytest.mark.parametrize(
    ("text", "remedy"),
    [("1,024", "write 1024"), ("1_024", "write 1024"), ("1,5", "write 15"), ("x", "write an inte")],
)
def test_grouped_digits_of_an_integer(text: str, remedy: str) -> None:
    (found,) = _complaints({"choice": {"name": "one", "size": text}})
    assert found.remedy.startswith(remedy)


def test_a_comma_in_a_number_is_that_of_the_decimals() -> None:
    (found,) = _complaints({"choice": {"name": "one"}, "rate": "1,5"})
    assert found.remedy == "write 1.5"


def _complaints(data: Any) -> list[Complaint]:
    with pytest.raises(ValidationError) as caught:
        Top.model_validate(data)
    return complaints(caught.value.errors(), data, known=lambda _: KNOWN, where="")


@pytest.mark.parametrize(
    ("data", "path", "message", "remedy"),
    [
        ({}, (), "'choice' is missing in the file", "add `choice: ...`"),
        (
            {"choice": {"name": "one"}, "section": "one"},
            ("section",),
            "'section' must be a mapping (key: value), not the string 'one'",
            "write section: {name: one}",
        ),
        (
            {"choice": {"name": "one", "size": 0}},
            ("choice", "size"),
            "'size' must be at least 1, not 0",
            "choose one that is at least 1",
        ),
        (
            {"choice": {"name": "two", "flag": "Yes"}},
            ("choice", "flag"),
            "'flag' must be true or false, or auto, not the string 'Yes'",
            "write true",
        ),
        (
            {"choice": {"name": "two"}, "rate": "1e-3"},
            ("rate",),
            "'rate' must be a number, not the string '1e-3'",
            "remove the quotes",
        ),
        (
            {"choice": {"name": "two"}, "items": [1, 2.0]},
            ("items", 1),
            "'items[1]' must be an integer, not 2.0",
            "write 2",
        ),
    ],
)
def test_sentences(data: Any, path: tuple[Any, ...], message: str, remedy: str) -> None:
    (complaint,) = _complaints(data)
    assert (complaint.path, complaint.message, complaint.remedy) == (path, message, remedy)


def test_a_misspelt_key_is_not_missing_too() -> None:
    (complaint,) = _complaints({"choise": {"name": "two"}})
    assert complaint.message == "unknown key 'choise' in the file"
    assert complaint.at_key


def test_paths_without_union_tags() -> None:
    data = {"a": [{"b": 1}]}
    assert real_path(data, ("a", 0, "tag", "b", "int")) == ("a", 0, "b")
    assert real_path(data, ("a", 5)) == ("a",)
    assert real_path(data, ("a", 0, "c"), keep_last=True) == ("a", 0, "c")
    assert dotted("layers", (2, "conv")) == "layers[2].conv"


def test_shown() -> None:
    assert shown(True) == "true"
    assert shown(None) == "null"
    assert shown({"a": 1}) == "a mapping"
    assert shown((1, 2)) == "[1, 2]"
    assert shown("x" * 100) == f"the string '{'x' * 37}...'"
