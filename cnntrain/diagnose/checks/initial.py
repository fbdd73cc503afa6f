"""Check `initial`: is the network, before the first step, one that can begin to learn?"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from cnntrain.data.batch import Batch
from cnntrain.diagnose import check
from cnntrain.diagnose.drawing import bars_by_layer
from cnntrain.diagnose.faults import SILENT
from cnntrain.diagnose.modes import steady_copy
from cnntrain.diagnose.report import Finding, Plot, Report, Table
from cnntrain.diagnose.signals import Signal, layer_signals, squashing, variation
from cnntrain.diagnose.training import chance_loss, logits_of
from cnntrain.show.words import listed
from cnntrain.tasks.criterion import Criterion

NAME = "initial"

DEAD = 0.9
"""Share of a rectifier layer's units at 0 for every image, from which on it is dead."""

SATURATED = 0.8
"""Share of a layer's outputs at the ends of their range."""

GROWN = 1e4
FADED = 1e-4
"""What may become of the deviation from image to image, up to the last hidden layer."""

LARGE, SURE = 5.0, 20.0
"""Times the loss of guessing from which on it is a suspicion, and a fault."""


@check("initial", place=4)
def check_initial(
    *, net: nn.Module, batch: Batch, criterion: Criterion, classes: int, applies: str = ""
) -> Report:
    """Look at the first forward and backward pass (LeCun et al. 1998, "Efficient BackProp").

    The loss of C classes should be near ln C; deviations should be alike from layer to layer
    (Glorot and Bengio 2010); units should neither be dead nor saturated, nor all alike.

    Args:
        net: with its initial weights; it is not changed.
        batch: of training images, some hundred.
        criterion: the loss.
        classes: how many there are.
        applies: what the loss applies to the outputs itself: softmax, sigmoid or nothing.
    """
    steady = steady_copy(net)
    signals, loss = layer_signals(steady, batch, criterion=criterion)
    logits, _ = logits_of(steady, [batch])
    chance = chance_loss(criterion, batch.targets, classes=classes)
    shown = [s for s in signals if s.has_weights or s.zero_units is not None or s.saturated]
    findings = [
        *_alike(steady),
        *_squashed(logits, applies=applies, last=signals[-1].kind),
        *_dead(signals),
        *_saturated(signals),
        *_grown_or_faded(signals, batch.images),
        *_too_sure(loss, chance),
    ]
    headline = f"the loss is {loss:.3g}, guessing gives {chance:.3g}"
    return Report(
        NAME,
        findings[0].headline if findings else headline,
        tuple(findings),
        numbers={"loss": loss, "loss_of_guessing": chance, "ln_classes": math.log(classes)},
        tables=(_table(shown),),
        pictures=(
            Plot(
                "deviation of each layer's outputs from image to image, at the initial weights",
                bars_by_layer([(s.name, s.varies) for s in shown], label="deviation"),
            ),
        ),
    )


def _alike(net: nn.Module) -> list[Finding]:
    """Layers whose units have equal weights and equal gradients: they never become different."""
    alike = []
    for name, parameter in net.named_parameters():
        if parameter.dim() < 2 or len(parameter) < 2 or parameter[0].numel() < 2:
            continue
        if _rows_equal(parameter.detach()) and (
            parameter.grad is None or _rows_equal(parameter.grad)
        ):
            alike.append((name, parameter.detach()))
    if not alike:
        return []
    zero = all(not weights.any() for _, weights in alike)
    what = "are all 0" if zero else "are the same for all of its units"
    return [
        Finding(
            "zero_initialisation",
            f"the weights of {listed([name for name, _ in alike])} {what}",
            f"in {len(alike)} tensors the units also get equal gradients, so that they stay alike "
            "in every step",
            "start from random weights: `init: [{weight: kaiming, bias: 0}]`",
        )
    ]


def _rows_equal(tensor: Tensor) -> bool:
    rows = tensor.flatten(1)
    spread = (rows - rows[:1]).abs().max()
    return bool(spread <= 1e-6 * rows.abs().max())


def _squashed(logits: Tensor, *, applies: str, last: str) -> list[Finding]:
    """Outputs that are probabilities already, or cannot be negative."""
    if not applies or not logits.isfinite().all():
        return []
    is_positive = bool((logits >= 0).all())
    sums_to_one = bool((logits.sum(dim=1) - 1).abs().max() < 1e-3)
    if is_positive and sums_to_one:
        what, where = "probabilities that sum to 1", "softmax"
    elif last in ("Sigmoid", "Hardsigmoid"):
        what, where = "between 0 and 1", "sigmoid"
    elif last == "ReLU":
        what, where = "never negative", "relu"
    else:
        return []
    return [
        Finding(
            "squashed_outputs",
            f"the network's outputs are {what}, and the loss applies its own {applies}",
            f"over {len(logits)} images they lie from {float(logits.min()):.3g} to "
            f"{float(logits.max()):.3g}",
            f"end the network with the linear layer: remove the last {where}",
        )
    ]


def _dead(signals: Sequence[Signal]) -> list[Finding]:
    dead = [s for s in signals if s.zero_units is not None and s.zero_units >= DEAD]
    if not dead:
        return []
    worst = max(dead, key=lambda s: s.zero_units or 0.0)
    return [
        Finding(
            "dead_units",
            f"{worst.zero_units:.0%} of the units of '{worst.name}' are 0 for every image",
            f"the same holds for {DEAD:.0%} of the units or more in {len(dead)} of the rectifier "
            "layers, at the initial weights; no gradient passes a dead unit",
            "start the biases at 0 and the weights with kaiming, or use leaky_relu",
        )
    ]


def _saturated(signals: Sequence[Signal]) -> list[Finding]:
    full = [s for s in signals if s.saturated is not None and s.saturated >= SATURATED]
    if not full:
        return []
    worst = max(full, key=lambda s: s.saturated or 0.0)
    return [
        Finding(
            "saturated_units",
            f"{worst.saturated:.0%} of the outputs of '{worst.name}' are at the ends of its range",
            f"so it is in {len(full)} layers; the slope is nearly 0 there, and so is the gradient",
            "start with smaller weights (`init: [{weight: xavier, bias: 0}]`), and normalise the "
            "images",
            follows=("not_normalised",),
        )
    ]


def _grown_or_faded(signals: Sequence[Signal], images: Tensor) -> list[Finding]:
    """What has become of the differences between images before the last layer with weights."""
    weighted = [s for s in signals if s.has_weights]
    if len(weighted) < 3:
        return []
    start = max(variation(images), 1e-12)
    hidden, last = weighted[:-1], weighted[-1]
    largest = max(hidden, key=lambda s: s.varies if math.isfinite(s.varies) else math.inf)
    remedy = (
        "start with weights that keep the deviation (`init: [{weight: kaiming, bias: 0}]`), or put "
        "batch_norm after each convolution"
    )
    follows: tuple[str, ...] = ()
    if not largest.varies / start <= GROWN:
        headline = (
            f"by '{largest.name}' the activations have grown {largest.varies / start:.0e} times"
        )
        code = "exploding_activations"
    elif last.read_varies / start < FADED:
        left = last.read_varies / start
        headline = f"before '{last.name}' images differ by {left:.0e} of what they did"
        if left == 0:
            headline = f"before '{last.name}' all images are the same"
        code, follows = "vanishing_activations", SILENT
        squashed = squashing(signals)
        if squashed:
            follows = (*SILENT, "vanishing_gradients")
            remedy = (
                f"use relu in place of the {squashed} sigmoids or tanhs, or put batch_norm after "
                "each convolution"
            )
    else:
        return []
    path = ", ".join(f"{s.name} {s.varies:.2g}" for s in hidden[:: max(1, len(hidden) // 5)])
    evidence = f"deviation from image to image: images {start:.2g}, {path}"
    return [Finding(code, headline, evidence, remedy, follows=follows)]


def _too_sure(loss: float, chance: float) -> list[Finding]:
    if not math.isfinite(loss):
        headline = f"the loss of the first images is {loss}"
        remedy = "look at the images (`cnntrain data check`) and at the initial weights"
        return [Finding("not_finite", headline, "with the initial weights", remedy)]
    if loss <= LARGE * chance + 1:
        return []
    return [
        Finding(
            "large_initial_loss",
            f"the first loss is {loss:.3g}, {loss / chance:.0f} times that of guessing",
            f"guessing gives {chance:.3g}: the initial outputs are large, so the network is sure "
            "of answers that nothing supports",
            "start the last layer with smaller weights: `{names: output, weight: {normal: "
            "{std: 0.01}}, bias: 0}` in `init`",
            is_certain=loss > SURE * chance,
            follows=("not_normalised", "exploding_activations"),
        )
    ]


def _table(signals: Sequence[Signal]) -> Table:
    rows = tuple(
        (s.name, s.kind, s.deviation, s.varies, s.zero_units, s.saturated) for s in signals
    )
    columns = ("layer", "kind", "deviation", "from image to image", "dead units", "saturated")
    return Table("each layer's outputs over the first images", columns, rows)
