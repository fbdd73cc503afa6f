"""Heads: lists of layers that read a layer of the trunk each, and are there in evaluation, too.

They become nodes like others, one for each head, and one that joins their outputs to a row, in the
order of the heads' names. So all that is done with nodes is done with heads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cnntrain.arch.expand import Context, Node, Nodes, expand_list
from cnntrain.arch.expression import Scope, Unavailable
from cnntrain.arch.items import INPUT, is_word
from cnntrain.core.complaints import shown
from cnntrain.core.document import KeyPath
from cnntrain.core.problems import suggestion
from cnntrain.layers import LAYERS

JOINED = "outputs"
"""The last node of a network with heads, and the layer that it is."""
HEAD_KEYS = ("from", "layers")
_FORM = "write `{from: name, layers: [...]}`"


def with_heads(
    path: KeyPath,
    raw: Any,
    trunk: Nodes,
    context: Context,
    *,
    counts: Mapping[str, int | None],
    usual: int | None,
) -> tuple[Nodes, tuple[str, ...]]:
    """The trunk's nodes with those of the heads, and the heads' names.

    Args:
        path: of `heads:`.
        raw: what stands there.
        trunk: the nodes of `layers:`.
        context: what they were read with.
        counts: what `$num_classes` is in each head.
        usual: the same, in those that are not in it.
    """
    reader = context.reader
    if not isinstance(raw, Mapping) or not raw:
        message = f"'heads' must be a mapping of named heads, not {shown(raw)}"
        reader.add(path, message, "write `heads: {name: {from: layer, layers: [...]}}`")
        return trunk, ()
    heads: list[Node] = []
    for name, given in raw.items():
        classes = classes_in_scope(counts.get(name, usual))
        scope = Scope({"num_classes": classes}, reader.scope)
        inside = replace(context, reader=reader.inside(scope), globals=scope)
        head = _read(name, given, (*path, name), trunk, inside)
        heads += [head] if head is not None else []
    end = trunk[-1] if trunk and heads and not reader.problems else None
    if end is not None and all(head.sources != (end.name,) for head in heads):
        message = f"no head reads '{end.name}', the last layer of the trunk"
        reader.add(end.path, message, "let a head read it (`from`), or remove it")
    if not heads:
        return trunk, ()
    names = tuple(sorted(head.name for head in heads))
    last = Node(JOINED, JOINED, names, reader, path, LAYERS.entry(JOINED))
    return (*trunk, *heads, last), tuple(head.name for head in heads)


def _read(name: str, given: Any, path: KeyPath, trunk: Nodes, context: Context) -> Node | None:
    reader, names = context.reader, [node.name for node in trunk]
    if not is_word(name) or name in (*names, JOINED, INPUT):
        why = "is not a word of letters, digits and _"
        why = "is that of a layer" if name in names else "is taken" if is_word(name) else why
        reader.add(path, f"the head's name '{name}' {why}", "choose another", key=True)
    keys = given if isinstance(given, Mapping) else {}
    meant = reader.add_unknown(keys, path, HEAD_KEYS, "a head")
    if not isinstance(given, Mapping) or "layers" not in given:
        if "layers" not in meant:
            reader.add(path, f"the head '{name}' has no `layers`", _FORM)
        return None
    source = given.get("from", names[-1] if names else INPUT)
    if source not in names and not reader.problems:
        message = f"'from' names {shown(source)}, but no layer of `layers:` is called so"
        reader.add((*path, "from"), message, suggestion(str(source), names))
    nodes = expand_some((*path, "layers"), context)
    entry = LAYERS.entry("sequence")
    return Node(name, "sequence", (str(source),), reader, path, entry, {}, {"layers": nodes})


def expand_some(path: KeyPath, context: Context) -> Nodes:
    """The nodes of a list that must not be empty."""
    nodes = expand_list(path, context)
    if not nodes and not context.reader.problems:
        message = "no layer is left because every `repeat` is 0"
        context.reader.add(path, message, "make one of them 1 or more")
    return nodes


def classes_in_scope(count: int | None) -> int | Unavailable | None:
    """What `$num_classes` is; no classes at all, 0, are those where no output is one."""
    if count != 0:
        return count
    return Unavailable(
        "'$num_classes' has no meaning here: no output is of a class",
        "write a number, or $image_channels, $image_height and $image_width",
    )


IN_TRUNK = Unavailable(
    "'$num_classes' has no meaning in the trunk of a network with heads",
    "write it in the layers of a head, where it is the number of that head's outputs",
)
