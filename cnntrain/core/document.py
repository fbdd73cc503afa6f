"""YAML as people mean it, with the position of every key and value.

PyYAML follows YAML 1.1, in which `1e-3` is a string, `no` is false, `010` is eight, `12:30` is
750 and the last of two equal keys wins. Here `1e-3` is a number, `no` and `12:30` are strings,
`010` is ten, equal keys are an error, and nothing but plain data can be written.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from cnntrain.core.complaints import Complaint
from cnntrain.core.errors import ConfigError
from cnntrain.core.problems import Place, Problem

KeyPath = tuple[str | int, ...]

MAX_BYTES = 1_000_000
MAX_DEPTH = 60
MAX_NODES = 20_000

_FAST: type[Any] | None = getattr(yaml, "CSafeLoader", None)

_TREATED_OTHERWISE = re.compile("[?\t\x85\u2028\u2029\ufeff]")

_NUMBERS: list[tuple[re.Pattern[str], Callable[[str], float]]] = [
    (re.compile(r"[-+]?[0-9]{1,300}$"), int),  # a longer one is a float, and infinite
    (re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$"), float),
    (re.compile(r"[-+]?\.(inf|Inf|INF)$"), lambda text: float(text.replace(".", ""))),
    (re.compile(r"\.(nan|NaN|NAN)$"), lambda text: float("nan")),
]
_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}
_SYNTAX_REMEDIES = {
    "\\t": "use spaces, not tabs",
    "escape": "use single quotes, in which \\ is only itself",
    "quoted scalar": "close this quote",
    "flow mapping": "close the brace { with }, and separate what is in it by commas",
    "flow sequence": "close the bracket [ with ], and separate what is in it by commas",
    "undefined alias": "quote a value that starts with *",
    "another document": "remove the line ---; a file holds one document",
    "mapping values are not allowed": "quote a value that contains ': ', or check the indentation",
    "": "check the indentation, colons, quotes and brackets here and just above",
}
"""By what is in PyYAML's message."""


@dataclass(frozen=True)
class Places:
    """Where each key and each value of a document stands."""

    keys: dict[KeyPath, Place] = field(default_factory=dict)
    values: dict[KeyPath, Place] = field(default_factory=dict)

    def of(self, path: KeyPath, *, key: bool = False) -> Place | None:
        """The place of the value (or key) at `path`, or of the nearest thing around it."""
        for length in range(len(path), -1, -1):
            around = path[:length]
            found = (self.keys.get(around) if key else None) or self.values.get(around)
            if found is not None:
                return found
        return None

    def also(self, path: KeyPath, other: KeyPath) -> None:
        """Let `other`, which is not in the document, stand where `path` does, with all below it."""
        for table in (self.keys, self.values):
            for inner in [inner for inner in table if inner[: len(path)] == path]:
                table.setdefault((*other, *inner[len(path) :]), table[inner])

    def graft(self, path: KeyPath, other: Places) -> None:
        """Take over another document's places at `path`, whose own key stays where it is."""
        for table, theirs in ((self.keys, other.keys), (self.values, other.values)):
            old = [p for p in table if p[: len(path)] == path]
            for inner in old:
                if inner != path or table is self.values:
                    del table[inner]
            table.update({path + inner: place for inner, place in theirs.items()})


@dataclass(frozen=True)
class Document:
    """Plain data (dict with string keys, list, str, int, float, bool, None) and its places.

    `text` is what was read, untouched by anything that is put into `data` later.
    """

    data: Any
    places: Places
    text: str = ""

    def problem(self, complaint: Complaint) -> Problem:
        """A complaint about this document, with its place."""
        place = self.places.of(complaint.path, key=complaint.at_key)
        return Problem(complaint.message, place, complaint.remedy)


def read_document(file: Path) -> Document:
    """Read a YAML file.

    Raises:
        ConfigError: the file cannot be read or is not the YAML that is described above.
    """
    try:
        if file.stat().st_size > MAX_BYTES:
            place = Place(str(file), 1, 1)
            raise ConfigError(
                "this is larger than 1 MB", remedy="is it the right file?", place=place
            )
        data = file.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"cannot read {file}: {error.strerror}", remedy="check the path"
        ) from error
    return parse_document(_decoded(data, name=str(file)), name=str(file))


def _decoded(data: bytes, *, name: str) -> str:
    """The text, from UTF-8 or, if its first bytes say so, UTF-16, which Windows may write."""
    encoding = "UTF-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "UTF-8"
    try:
        text = data.decode(encoding).removeprefix("\ufeff")
        return io.StringIO(text, newline=None).read()
    except UnicodeDecodeError as error:
        before = (data[: error.start].decode(encoding, errors="replace") + "?").splitlines()
        place = Place(name, len(before), len(before[-1]))
        message = f"not {encoding} text: a byte 0x{data[error.start]:02X} stands here"
        remedy = "save the file as UTF-8, if it is the right one"
        raise ConfigError(message, remedy=remedy, place=place) from None


def parse_document(text: str, *, name: str) -> Document:
    """The document that `text` holds; `name` is what places call the file."""
    reader = _Reader(name, text)
    try:
        root = reader.compose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        if "end of stream" in str(error.problem) and "quoted" in str(error.context):
            mark = error.context_mark  # not at the end of the file
        message = f"not valid YAML: {error.problem or error.context}"
        begin = error.context_mark
        if begin and mark and begin.line != mark.line and str(error.context).startswith("while"):
            message += f", {error.context} that starts in line {begin.line + 1}"
        place = reader.place(mark) if mark else Place(name, 1, 1)
        remedy = _cause_above(place, reader.lines) or next(
            text for sign, text in _SYNTAX_REMEDIES.items() if sign in f"{message} {error.context}"
        )
        raise ConfigError(message, remedy=remedy, place=place) from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position].splitlines() or [""]
        place = Place(name, len(before), len(before[-1]) + 1, before[-1])
        message = f"not valid YAML: a character U+{ord(text[error.position]):04X} stands here"
        raise ConfigError(message, remedy="remove it", place=place) from None
    data = None if root is None else reader.convert(root, ())
    if reader.problems:
        raise ConfigError.of(reader.problems)
    reader.places.values.setdefault((), Place(name, 1, 1, reader.line(0)))
    return Document(data, reader.places, text)


def _cause_above(place: Place, lines: Sequence[str]) -> str:
    """What to correct in the line before the one that YAML objects to; empty: nothing there."""
    numbered = [*enumerate(lines[: place.line - 1], start=1)]
    filled = [(n, line) for n, line in numbered if line.strip() and line.strip()[0] != "#"]
    if not filled:
        return ""
    number, line = filled[-1]
    text = re.sub(r"\s#.*", "", line).strip()
    here = lines[place.line - 1] if place.line <= len(lines) else ""
    if re.fullmatch(r"- \w+", text) and re.match(r"\s*(as|from|repeat):\s", here):
        return f"write `{text}:` in line {number}, with a colon, so that more keys can follow"
    if found := re.fullmatch(r"(\w+)(?:\s*=\s*|:|\s+)([^\s:=]\S*)", text):
        return f"write `{found[1]}: {found[2]}` in line {number}"
    if found := re.fullmatch(r"-(\w.*)", text):
        return f"write `- {found[1]}` in line {number}, with a space"
    deeper = len(here) - len(here.lstrip(" ")) > len(line) - len(line.lstrip(" "))
    if deeper and re.fullmatch(r"\w+: .*[^\s,\[{]", text) and re.match(r"\s*\w+:(\s|$)", here):
        return f"indent it as line {number}"
    return ""


def parse_scalar(text: str) -> Any:
    """What a plain (unquoted) YAML scalar means."""
    if text in _WORDS:
        return _WORDS[text]
    for pattern, convert in _NUMBERS:
        if pattern.match(text):
            return convert(text)
    return text


class _Reader:
    """Turns YAML nodes into plain data and notes where each stands."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self.lines = text.splitlines()
        self.places = Places()
        self.problems: list[Problem] = []
        self.count = 0

    def line(self, index: int) -> str:
        return self.lines[index] if index < len(self.lines) else ""

    def place(self, mark: Any) -> Place:
        return Place(self.name, mark.line + 1, mark.column + 1, self.line(mark.line))

    def compose(self) -> yaml.Node | None:
        """The node graph, by libyaml where it is there: PyYAML's own parser takes 8 times as long.

        What libyaml refuses is read once more, for the better message; so is text with characters
        that the two do not treat alike.
        """
        if _FAST is not None and not _TREATED_OTHERWISE.search(self.text):
            with suppress(yaml.YAMLError, UnicodeEncodeError):
                return self._composed(_FAST)
        return self._composed(yaml.SafeLoader)

    def _composed(self, loader: type[Any]) -> yaml.Node | None:
        """The node graph, after a pass over the events that bounds depth and size."""
        depth = 0
        for count, event in enumerate(yaml.parse(self.text, loader)):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            if depth > MAX_DEPTH or count > MAX_NODES:
                what = f"nested deeper than {MAX_DEPTH} levels" if depth > MAX_DEPTH else "too long"
                place = self.place(event.start_mark)
                raise ConfigError(f"the file is {what}", remedy="simplify it", place=place)
        node: yaml.Node | None = yaml.compose(self.text, loader)
        return node

    def convert(self, node: yaml.Node, path: KeyPath) -> Any:
        self.count += 1
        place = self.place(node.start_mark)
        self.places.values[path] = place
        if re.match(r"(&\S+\s+)?!", self.line(place.line - 1)[place.column - 1 :]):
            self._complain("a tag (!) cannot be used here", place, "write plain data")
        if len(path) > MAX_DEPTH or self.count > MAX_NODES:
            problem = "the file is too large once its aliases are expanded"
            raise ConfigError(problem, remedy="remove the aliases", place=place)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.convert(item, (*path, i)) for i, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        if node.style in ('"', "'", "|", ">"):
            return str(node.value)
        return parse_scalar(str(node.value))

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            place, key = self.place(key_node.start_mark), str(key_node.value)
            if not isinstance(key_node, yaml.ScalarNode):
                self._complain("a key must be a word", place, "quote it, or check the braces")
            elif key == "<<" and not key_node.style:
                self._complain("merge keys (<<) are not used here", place, "write the keys out")
            elif key in found:
                first = self.places.keys[(*path, key)]
                message = f"the key '{key}' is given a second time (first in line {first.line})"
                self._complain(message, place, "remove one of the two")
            else:
                self.places.keys[(*path, key)] = place
                found[key] = self.convert(value_node, (*path, key))
        return found

    def _complain(self, message: str, place: Place, remedy: str) -> None:
        self.problems.append(Problem(message, place, remedy))
