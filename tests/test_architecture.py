"""The house itself: sizes, names, who may know whom, and the run files that come with it."""

from __future__ import annotations

import ast
import copy
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any, get_args

import pytest

import cnntrain
from cnntrain.arch.description import describe, usual_facts
from cnntrain.arch.initialise import read_init_rules
from cnntrain.assemble.networks import make_network, plan_network
from cnntrain.assemble.transfer.preprocessing import follow_weights
from cnntrain.config import shipped
from cnntrain.config.load import load, load_text
from cnntrain.config.resolved import dump_yaml, resolved_tree
from cnntrain.config.schema import RunConfig
from cnntrain.config.section import Section
from cnntrain.core.choices import CHOICES
from cnntrain.core.document import read_document
from cnntrain.core.errors import ConfigError

PACKAGE = Path(cnntrain.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
NAMES = [file.relative_to(PACKAGE).as_posix() for file in FILES]
TREES = {name: ast.parse(file.read_text("utf-8")) for name, file in zip(NAMES, FILES, strict=True)}

LINES, FUNCTION = 300, 50
FORBIDDEN_FILES = ("utils", "helpers", "misc", "common")
FORBIDDEN_CLASSES = re.compile(r"Manager|Handler|Engine|Util|Helper")
TORCH_FREE = ("core/", "config/", "cli/", "__init__.py", "layers/__init__.py", "data/__init__.py")
UPPER = ("runs", "assemble", "model", "fit", "explain", "diagnose", "export", "card", "bench")
HEAVY = ("torch", "torchvision", "numpy", "sklearn", "matplotlib", "tensorboard")
NO_COMMANDS = {
    "__init__",
    "app",
    "commands",
    "compare_representations",
    "ending",
    "evaluate_pair",
    "predictions",
    "habits",
    "lists",
    "options",
    "output",
    "picture_groups",
    "pictures",
    "published",
}
"""The files of cli/ that are not named by a command."""


@pytest.mark.parametrize("name", NAMES)
def test_a_file_can_be_read_in_five_minutes(name: str) -> None:
    assert len((PACKAGE / name).read_text("utf-8").splitlines()) <= LINES
    assert Path(name).stem not in FORBIDDEN_FILES
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.FunctionDef) and not _is_loop(name, node):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            length = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            assert length <= FUNCTION, f"{name}: {node.name} has {length} lines"
        if isinstance(node, ast.ClassDef):
            assert not FORBIDDEN_CLASSES.search(node.name), node.name


def _is_loop(name: str, node: ast.FunctionDef) -> bool:
    """The training loop is one story, of 80 lines at the most."""
    is_it = (name, node.name) == ("train/loop.py", "train")
    assert not is_it or (node.end_lineno or 0) - node.body[1].lineno < 80
    return is_it


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_only_the_top_rooms_know_the_configuration() -> None:
    knowing = {
        name.split("/")[0]
        for name, tree in TREES.items()
        if any(module.startswith("cnntrain.config") for module in imports(tree))
    }
    assert knowing <= {"config", "cli", *UPPER}


def test_what_answers_at_once_imports_nothing_heavy() -> None:
    for name, tree in TREES.items():
        if name.startswith(TORCH_FREE[:3]) or name in TORCH_FREE[3:]:
            first = {module.split(".")[0] for module in imports(_at_import(tree))}
            assert not first & set(HEAVY), name


def _at_import(tree: ast.Module) -> ast.Module:
    """What is run when a module is imported: no functions, nothing under TYPE_CHECKING."""
    body = [
        node
        for node in tree.body
        if not isinstance(node, ast.FunctionDef)
        and not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
    ]
    return ast.Module(body, [])


def test_the_command_line_names_every_command() -> None:
    text = (PACKAGE / "cli" / "commands.py").read_text("utf-8")
    modules = {file.stem for file in (PACKAGE / "cli").glob("*.py")}
    for module in modules - NO_COMMANDS:
        added = rf"^(app\.(command|add_typer)\(.*{module}\.|_add_if_there\(\"{module}\"\)$)"
        assert re.search(added, text, re.MULTILINE), module


def test_no_class_name_means_two_things() -> None:
    nodes = [node for tree in TREES.values() for node in ast.walk(tree)]
    names = [node.name for node in nodes if isinstance(node, ast.ClassDef)]
    public = (name for name in names if not name.startswith("_"))
    assert several(public) == set()


def test_a_mapping_in_the_run_file_is_called_a_section() -> None:
    """What it describes is often a class of that name: the loss, the task, the early stopping."""
    names = {section.__name__ for section in sections_of(RunConfig)}
    assert {name for name in names if not name.endswith("Section")} == set()
    assert {"DataSection", "EmaSection", "TransformsSection"} <= names


def sections_of(section: type[Section]) -> Iterator[type[Section]]:
    """Of all keys whose value is a section or null, at every depth."""
    for field in section.model_fields.values():
        kinds = [kind for kind in get_args(field.annotation) if kind is not type(None)]
        kind = kinds[0] if len(kinds) == 1 else field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield kind
            yield from sections_of(kind)


def test_no_file_name_means_two_things() -> None:
    """Commands and choices are named by what a user types; a file may have its room's name."""
    choices = {entry.file for kind in CHOICES.values() for entry in kind.entries()}
    names = [file.parent.name for file in FILES if file.stem == "__init__"]
    for file in FILES:
        is_command = file.parent.name == "cli" and file.stem not in NO_COMMANDS
        own_room = file.stem in ("__init__", file.parent.name)
        if not (is_command or own_room or file in choices):
            names.append(file.stem)
    assert several(names) == set()


def several(names: Iterable[str]) -> set[str]:
    return {name for name, count in Counter(names).items() if count > 1}


@pytest.mark.parametrize("name", NAMES)
def test_a_broad_except_has_a_reason(name: str) -> None:
    lines = (PACKAGE / name).read_text("utf-8").splitlines()
    for node in ast.walk(TREES[name]):
        if not isinstance(node, ast.ExceptHandler):
            continue
        kind = ast.unparse(node.type) if node.type else ""
        goes_on = not isinstance(node.body[-1], ast.Raise)
        if kind in ("", "Exception", "BaseException") and goes_on:
            line = lines[node.lineno - 1]
            reason = re.sub(r"# noqa: \w+", "", line).partition("#")[2]
            assert reason.strip(), f"{name}:{node.lineno}: {line.strip()}"


def test_nothing_is_printed_but_by_those_who_talk() -> None:
    for name, tree in TREES.items():
        calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
        if any(isinstance(call, ast.Name) and call.id == "print" for call in calls):
            assert name.startswith("cli/") or name == "fit/interruption.py"


WRITERS = {
    "core/atomic.py",
    "data/image_cache.py",  # only appended to; an index names it afterwards
    "data/write_shards.py",  # into a folder that is filled when all of it is there
    "model/given_images.py",  # into a folder that takes its name when all images are there
    "model/sorted_folders.py",  # into a folder that takes its name when all copies are there
    "record/growing_file.py",  # only appended to
    "runs/folder.py",  # `latest`
    "runs/lock.py",
    "cli/ending.py",  # streams that were closed
}
"""The files that open others for writing."""


def test_files_are_written_by_one_mechanism() -> None:
    """`core/atomic.py`: whole or not at all. What libraries write goes to a file that it opened."""
    for name, tree in TREES.items():
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            if name not in WRITERS and _writes_by_itself(call):
                pytest.fail(f"{name}:{call.lineno}: {ast.unparse(call)}")


def _writes_by_itself(call: ast.Call) -> bool:
    function = ast.unparse(call.func)
    called = function.rpartition(".")[2]
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    if called == "open":  # Image.open(file) and the like have no mode
        modes = [arg.value for arg in given if isinstance(arg, ast.Constant)]
        return any(re.fullmatch("[rb]*[wax+][wax+bt]*", str(mode)) for mode in modes)
    if called == "write_text":  # a run's has two arguments: file and text
        return len(call.args) == 1
    saves = called in ("savefig", "savetxt", "write_table", "SummaryWriter", "to_csv")
    if saves or called.startswith("savez") or function.endswith((".save", "np.save")):
        opened = {"file", "made", "buffer"} & {ast.unparse(arg) for arg in given}
        return not opened and function != "safetensors.torch.save"  # which returns bytes
    return called in ("write_bytes", "tofile")


CONFIGS = sorted((shipped.folder() or Path()).glob("*.yaml"))
ARCHS = sorted((shipped.folder() or Path()).glob("archs/*.yaml"))


def named(file: Path) -> str:
    return file.stem


@pytest.mark.parametrize("file", CONFIGS, ids=named)
def test_a_run_file_is_right_and_says_how_to_use_it(file: Path) -> None:
    loaded = follow_weights(load(file))
    make_network(plan_network(loaded), seed=0, device="meta")
    head = comment_at_the_top(file)
    verb = "fit" if loaded.config.train is not None else "eval"
    assert any(f"cnntrain {verb} {name}" in head for name in (f"configs/{file.name}", file.name))
    for text in written_defaults(loaded.document.data, file):
        pytest.fail(f"{file.name} says {text}, which is so by default: leave it out")


@pytest.mark.parametrize("file", ARCHS, ids=named)
def test_an_architecture_file_is_right_and_says_how_to_use_it(file: Path) -> None:
    document = read_document(file)
    read_init_rules(describe(document, facts=usual_facts(document)))  # shapes: tests/arch
    assert f"cnntrain summary archs/{file.stem}" in comment_at_the_top(file)


def comment_at_the_top(file: Path) -> str:
    lines = file.read_text("utf-8").splitlines()
    assert len(lines) < 80
    head = list(takewhile(lambda line: line.startswith("#"), lines))
    assert len(head) >= 2
    return "\n".join(head)


def written_defaults(tree: dict[str, Any], file: Path) -> Iterator[str]:
    """The values without which the run file would mean the same; not those of the architecture."""
    whole = resolved_tree(load_text(dump_yaml(tree), file=file).config)
    for path in leaves({key: value for key, value in tree.items() if key != "arch"}):
        smaller = copy.deepcopy(tree)
        inner: Any = smaller
        for key in path[:-1]:
            inner = inner[key]
        value = inner.pop(path[-1])
        try:
            same = resolved_tree(load_text(dump_yaml(smaller), file=file).config) == whole
        except ConfigError:
            continue
        if same and path[-1] != "name":  # a choice is named where its keys are
            yield f"{'.'.join(map(str, path))}: {value}"


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths to everything in mappings, in lists of mappings too; not to items of lists."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*path, key)
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves(inner, (*path, index))
