"""What a network is for: the task, the loss, and several of both for a network with heads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from cnntrain.config.section import FROM_LIST, Choice, Section
from cnntrain.core.catalogue import Catalogue
from cnntrain.core.choices import LOSSES, TASKS
from cnntrain.core.kinds import ClassList, NonNegativeFloat
from cnntrain.core.target_forms import TargetForm, Wanted, form_of, output_of

KEEP_LAST = "last"
"""What `train.select` says where the weights of the last epoch are kept, good or not."""


class LossSection(Choice):
    """The loss to minimise."""

    catalogue: ClassVar[Catalogue] = LOSSES
    usual: ClassVar[str] = "cross_entropy"
    needs_name: ClassVar[bool] = False

    name: str
    """A registered loss, see `cnntrain list losses`; by default the task's usual one."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """The loss's own keys."""

    @property
    def applies(self) -> str:
        """What it applies to the network's outputs itself: softmax, sigmoid or nothing."""
        return str(self.entry.options.get("applies", ""))


class TaskSection(Choice):
    """What the network is for."""

    catalogue: ClassVar[Catalogue] = TASKS
    usual: ClassVar[str] = "classification"

    name: str
    """A registered task; see `cnntrain list tasks`."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """The task's own keys."""

    def selecting(self, select: str | None) -> str:
        """The figure that `train.select` names; the default where it names none."""
        return self.selects[0] if select in (None, KEEP_LAST) else str(select)

    @property
    def selects(self) -> tuple[str, ...]:
        """What may select the best weights, the default first."""
        own: tuple[str, ...] = tuple(self.entry.options.get("selects", ("loss",)))
        heads = self.heads.items()
        return (*own, *(f"{name}.{each}" for name, head in heads for each in head.task.selects))

    @property
    def usual_loss(self) -> str:
        """What is minimised where the run file does not say."""
        return str(self.entry.options.get("loss", LossSection.usual))

    @property
    def output(self) -> str:
        """What an exported network gives, in a word."""
        return output_of(self.entry)

    @property
    def form(self) -> TargetForm:
        """Of the targets that it learns."""
        return form_of(self.entry)

    @property
    def wanted(self) -> Wanted:
        """The form, or those of the heads."""
        forms = tuple(dict.fromkeys(head.task.form for head in self.heads.values()))
        return forms or self.form

    @property
    def heads(self) -> Mapping[str, HeadSection]:
        """Of a task for several heads, what each learns; else empty."""
        given = self.parameters.get(HEADS, {}) if self.form == "several" else {}
        return {name: HeadSection.of(head) for name, head in given.items()}

    def outputs(self, known: int | None, *, numbers: int) -> dict[str, int | None]:
        """What `$num_classes` is in each head; None: unknown; 0 where an image is given.

        Args:
            known: how many classes, labels and numbers there are together.
            numbers: how many of them are numbers, where there is something else, too.
        """
        found: dict[str, int | None] = {}
        for name, head in self.heads.items():
            found[name] = None if known is None else known - numbers
            if head.names:
                found[name] = len(head.names)
            elif head.task.form == "image":
                found[name] = 0
            elif head.task.form == "numbers" and numbers:
                found[name] = numbers
        return found


CHOSEN: Mapping[str, type[Choice]] = {"task": TaskSection, "loss": LossSection}
"""What a head chooses."""
HEADS = "heads"
"""The parameter of a task for several heads that says what they learn."""


class HeadSection(Section):
    """What a head of the network learns."""

    task: TaskSection
    """A name, or a mapping with the task's own keys."""
    loss: LossSection
    """The same way; the task's usual one if it is not given."""
    weight: NonNegativeFloat = 1.0
    """Factor of this head's loss in the sum."""
    names: Annotated[ClassList, FROM_LIST] = ()
    """Those of the numbers, or labels, that it learns; all if none are named."""

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> HeadSection:
        """From what `as_given` made of it."""

        def chosen(kind: type[Choice], values: Mapping[str, Any]) -> Choice:
            own = {key: value for key, value in values.items() if key != "name"}
            return kind(name=values["name"], parameters=own)

        parts = {
            "task": chosen(TaskSection, given["task"]),
            "loss": chosen(LossSection, given["loss"]),
        }
        return cls.model_validate({**given, **parts})

    def as_given(self) -> dict[str, Any]:
        """As it stands in a file, with every default."""
        parts = {key: {"name": each.name, **each.parameters}
                 for key, each in (("task", self.task), ("loss", self.loss))}  # fmt: skip
        return {**parts, "weight": self.weight, "names": self.names}
