"""A network from its description, as `cnntrain.build` and `cnntrain summary` make it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from cnntrain.arch.description import Facts, is_architecture, usual_facts
from cnntrain.arch.network import Network
from cnntrain.arch.plan import Plan
from cnntrain.assemble.checked import check_loaded
from cnntrain.assemble.networks import make_network, plan_of
from cnntrain.config import shipped
from cnntrain.config.from_python import Source, read_given, try_to_load_given
from cnntrain.core.document import Document
from cnntrain.core.errors import ConfigError, UsageError


def build(
    network: Source,
    *,
    num_classes: int | None = None,
    image_channels: int | None = None,
    image_size: int | tuple[int, int] | None = None,
    vars: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Network:
    """A network with its initial weights, which depend on nothing but the seed.

    torch's random state stays as it is. The plan, with the shapes and counts of each layer, is the
    network's attribute `plan`.

    Args:
        network: a shipped architecture's name (`resnet20`), an architecture file or a run file, its
            text, or its contents as a mapping.
        num_classes: of the output; usually what the architecture is made for.
        image_channels: the same way, 1 for grey images and 3 for RGB.
        image_size: the same way, the side, or height and width.
        vars: values of the architecture's variables.
        seed: of the weights.

    Returns:
        An `nn.Module`: (N, C, H, W) -> (N, num_classes).

    Raises:
        UsageError: there is no such network, or a run file's images are to be others.
        ConfigError: everything that is wrong with it, at its lines.
    """
    find = partial(shipped.find_network, among=("archs/", ""))
    document, _ = read_given(network, find=find)
    if is_architecture(document.data):
        plan = plan_architecture(
            document,
            num_classes=num_classes,
            image_channels=image_channels,
            image_size=image_size,
            variables=vars,
        )
    else:
        if num_classes or image_channels or image_size:
            message = "a run file's classes and images are those of its `data`"
            raise UsageError(message, remedy="leave them out, or give an architecture")
        changes = {f"vars.{name}": value for name, value in (vars or {}).items()}
        plan = check_loaded(*try_to_load_given(network, changes, find=find), needs_data=False).plan
    net = make_network(plan, seed=seed)
    net.plan = plan
    return net


def plan_architecture(
    document: Document,
    *,
    num_classes: int | None = None,
    image_channels: int | None = None,
    image_size: int | tuple[int, int] | None = None,
    variables: Mapping[str, Any] | None = None,
) -> Plan:
    """Plan an architecture; see `build`. What is not given is what it is made for.

    Raises:
        ConfigError: everything that is wrong with it, at its lines.
    """
    usual = usual_facts(document)
    size = image_size or (usual.image_height, usual.image_width)
    height, width = (size, size) if isinstance(size, int) else size
    facts = Facts(
        num_classes or usual.num_classes, image_channels or usual.image_channels, height, width
    )
    plan, problems = plan_of(document, facts=facts, variables=variables)
    if plan is None or problems:
        raise ConfigError.of(problems)
    return plan
