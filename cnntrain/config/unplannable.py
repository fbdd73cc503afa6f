"""A network that cannot be planned, found out at once: without torch."""

from __future__ import annotations

from cnntrain.arch.description import Facts, try_to_describe, usual_facts
from cnntrain.config.load import ARCH_AT, Loaded
from cnntrain.core.problems import Problem
from cnntrain.data import TRANSFORMS
from cnntrain.data.metadata import facts as data_facts


def unplannable(loaded: Loaded) -> list[Problem]:
    """What is wrong with an architecture, if that is all that planning the network could find.

    Nothing where planning would go further: the architecture is sound enough, or the sizes of the
    images, which only torch's side can follow, could be wrong as well.
    """
    data = loaded.config.data
    stated = data_facts(data.name, data.parameters)
    calls = (*data.transforms.train, *data.transforms.eval)
    sizing = any(TRANSFORMS.entry(call.name).options.get("sizing") for call in calls)
    if stated.size is None or sizing or loaded.config.plugins or loaded.config.finetune:
        return []
    usual = usual_facts(loaded.document, root=ARCH_AT)
    facts = Facts(stated.num_classes or usual.num_classes, stated.channels, *stated.size)
    description, problems = try_to_describe(
        loaded.document, root=ARCH_AT, facts=facts, variables=loaded.config.vars
    )
    return problems if description is None else []
