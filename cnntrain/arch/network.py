"""The modules that a plan is built into: named children, run in order, reading by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from torch import Tensor, nn

from cnntrain.arch.items import INPUT

if TYPE_CHECKING:
    from cnntrain.arch.plan import Plan, PlannedList

Shape = tuple[int, ...]


class Graph(nn.Module):
    """Named layers, each of which reads layers above it.

    `sources` are the names that each reads; `input` is the graph's own input.

    Args:
        layers: name -> module, in order.
        planned: what each reads, and the shapes without the batch, `(C, H, W)` or `(F,)`.

    Shape:
        (N, *in_shape) -> (N, *out_shape)
    """

    def __init__(self, layers: Mapping[str, nn.Module], planned: PlannedList) -> None:
        super().__init__()
        for name, module in layers.items():
            self.add_module(name, module)
        self.sources = {node.name: node.node.sources for node in planned.nodes}
        self.in_shape = planned.in_shape
        self.out_shape = planned.out_shape
        self._layer_names = tuple(layers)
        above = dict(zip(self._layer_names, (INPUT, *self._layer_names), strict=False))
        self._kept = {s for name in layers for s in self.sources[name] if s != above[name]}
        self._is_chain = all(self.sources[name] == (above[name],) for name in layers)

    def forward(self, images: Tensor) -> Tensor:
        """Run every layer; outputs that a later layer reads are kept by name."""
        return self.run(images)[0]

    def run(
        self, images: Tensor, heads: Sequence[tuple[str, nn.Module]] = ()
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The output, and those of heads, each with the name of the layer that it reads.

        A head runs right after its layer, not at the end: random numbers are then drawn, and
        gradients summed, in the order of the same network written by hand.
        """
        if self._is_chain and not heads:
            for name in self._layer_names:
                images = self._modules[name](images)  # type: ignore[misc]  # none is None
            return images, ()
        kept = {INPUT: images}
        outputs: dict[int, Tensor] = {}
        current, previous = images, INPUT
        for name in self._layer_names:
            reads = [current if s == previous else kept[s] for s in self.sources[name]]
            current, previous = getattr(self, name)(*reads), name
            if name in self._kept:
                kept[name] = current
            for index, (source, head) in enumerate(heads):
                if source == name:
                    outputs[index] = head(current)
        return current, tuple(outputs[index] for index in range(len(heads)))


class Network(Graph):
    """A whole network. With auxiliary heads it returns `(logits, (aux logits, ...))` in training.

    `aux_weights` are the heads' weights in the loss (GoogLeNet: Szegedy et al. 2015, section 5).
    `operations` maps the dotted name of each module to the layer that made it; `plan` is there if
    `cnntrain.build` made the network.
    """

    def __init__(
        self,
        layers: Mapping[str, nn.Module],
        planned: PlannedList,
        *,
        aux: Mapping[str, tuple[str, float, nn.Module]],
    ) -> None:
        super().__init__(layers, planned)
        self.operations: dict[str, str] = {}
        self.plan: Plan | None = None
        self._aux_sources = {name: source for name, (source, _, _) in aux.items()}
        self.aux_weights = tuple(weight for _, weight, _ in aux.values())
        for name, (_, _, head) in aux.items():
            self.add_module(name, head)

    def forward(  # type: ignore[override]  # the heads' outputs are there in training only
        self, images: Tensor
    ) -> Tensor | tuple[Tensor, tuple[Tensor, ...]]:
        """Logits `(N, num_classes)`; in training with heads also theirs."""
        if not (self.training and self._aux_sources):
            return self.run(images)[0]
        heads = [(source, getattr(self, name)) for name, source in self._aux_sources.items()]
        return self.run(images, heads)
