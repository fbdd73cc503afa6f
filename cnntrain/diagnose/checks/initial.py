"""Check `initial`: is the network, before the first step, one that can begin to learn?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from cnntrain.data.batch import Batch
from cnntrain.diagnose import check
from cnntrain.diagnose.drawing import bars_by_layer
from cnntrain.diagnose.explained import guessing_words
from cnntrain.diagnose.faults import SILENT
from cnntrain.diagnose.loss_sense import wrong_loss
from cnntrain.diagnose.modules import logits_of
from cnntrain.diagnose.reach import out_of_reach
from cnntrain.diagnose.report import Finding, Plot, Report, Table
from cnntrain.diagnose.signals import Signal, layer_signals, squashing, variation
from cnntrain.show.words import listed
from cnntrain.tasks.criterion import Criterion
from cnntrain.train.briefly import chance_loss, steady_copy

DEAD = 0.9
"""Share of a rectifier layer's units at 0 for every image, from which on it is dead."""

SATURATED = 0.8
"""Share of a layer's outputs at the ends of their range."""

GROWN = 1e4
FADED = 1e-4
"""What may become of the deviation from image to image, up to the last hidden layer."""

EQUAL, DAMPS, SMALL = 1e-6, 1 / 30, 0.05
"""One layer makes all images alike where it leaves less than the first share of their differences;
it damps them where it has no weights, leaves less than the second, and its outputs differ less than
the third."""

LOUD, HIGH = 100.0, 30.0
"""One layer is too loud if it multiplies the differences by the one, to more than the other."""

LARGE, SURE = 5.0, 20.0
"""Times the loss of guessing from which on it is a suspicion, and a fault."""


@check("initial", place=4)
def check_initial(
    *,
    net: nn.Module,
    batch: Batch,
    criterion: Criterion,
    classes: int,
    applies: str = "",
    loss: str = "",
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
        loss: its name.
    """
    steady = steady_copy(net)
    signals, first = layer_signals(steady, batch, criterion=criterion)
    logits, _ = logits_of(steady, [batch])
    chance = chance_loss(criterion, batch.targets, classes=classes, outputs=logits.shape[1:])
    shown = [s for s in signals if s.has_weights or s.zero_units is not None or s.saturated]
    takes_scores = applies in ("softmax", "sigmoid") and logits.shape[1:] == (classes,)
    plain = criterion.plain()
    findings = (
        *(
            wrong_loss(plain, batch.targets, classes=classes)
            if takes_scores and classes > 1
            else ()
        ),
        *_alike(steady),
        *(
            _squashed(logits, applies=applies)
            if applies
            else out_of_reach(steady, *batch, criterion=criterion, chance=chance)
        ),
        *_dead(signals),
        *_saturated(signals),
        *_grown_or_faded(signals, batch.images),
        *_too_sure(first, max(chance, _undecided(criterion, logits, batch.targets))),
    )
    headline = f"the loss is {first:.3g}, {guessing_words(loss)} costs {chance:.3g}"
    of_classes = {"ln_classes": math.log(classes)} if batch.targets.ndim == 1 else {}
    return Report(
        "initial",
        findings[0].headline if findings else headline,
        findings,
        numbers={"loss": first, "loss_of_guessing": chance, **of_classes},
        tables=(_table(shown),),
        pictures=(
            Plot(
                "deviation of each layer's outputs from image to image, at the initial weights",
                bars_by_layer([(s.name, s.varies) for s in shown], label="deviation"),
            ),
        ),
    )


def _alike(net: nn.Module) -> Iterator[Finding]:
    """Layers whose units have equal weights and equal gradients: they never become different."""
    alike = {
        name: weights.detach()
        for name, weights in net.named_parameters()
        if weights.dim() >= 2 and len(weights) >= 2 and weights[0].numel() >= 2
        and _rows_equal(weights) and (weights.grad is None or _rows_equal(weights.grad))
    }  # fmt: skip
    if alike:
        is_zero = not any(weights.any() for weights in alike.values())
        what = "are all 0" if is_zero else "are the same for all of its units"
        yield Finding(
            "zero_initialisation",
            f"the weights of {listed(list(alike))} {what}",
            f"in {len(alike)} tensors the units also get equal gradients, so that they stay alike "
            "in every step",
            "start from random weights: `init: [{weight: kaiming, bias: 0}]`",
        )


def _rows_equal(tensor: Tensor) -> bool:
    rows = tensor.detach().flatten(1)
    spread = (rows - rows[:1]).abs().max()
    return bool(spread <= 1e-6 * rows.abs().max())


def _squashed(logits: Tensor, *, applies: str) -> Iterator[Finding]:
    """Outputs that are probabilities already, in whatever way; the check `sight` knows the rest."""
    if (
        not logits.isfinite().all()
        or not (logits >= 0).all()
        or (logits.sum(dim=1) - 1).abs().max() >= 1e-3
    ):
        return
    yield Finding(
        "squashed_outputs",
        f"the network's outputs are probabilities, and the loss applies its own {applies}",
        f"over {len(logits)} images they lie from {float(logits.min()):.3g} to "
        f"{float(logits.max()):.3g}",
        "end the network with the linear layer: remove the softmax behind it",
    )


def _dead(signals: Sequence[Signal]) -> Iterator[Finding]:
    dead = [s for s in signals if s.zero_units is not None and s.zero_units >= DEAD]
    if dead:
        worst = max(dead, key=lambda s: s.zero_units or 0.0)
        yield Finding(
            "dead_units",
            f"{worst.zero_units:.0%} of the units of '{worst.name}' are 0 for every image",
            f"the same holds for {DEAD:.0%} of the units or more in {len(dead)} of the rectifier "
            "layers, at the initial weights; no gradient passes a dead unit",
            "start the biases at 0 and the weights with kaiming, or use leaky_relu",
        )


def _saturated(signals: Sequence[Signal]) -> Iterator[Finding]:
    full = [s for s in signals if s.saturated is not None and s.saturated >= SATURATED]
    if full:
        worst = max(full, key=lambda s: s.saturated or 0.0)
        yield Finding(
            "saturated_units",
            f"{worst.saturated:.0%} of the outputs of '{worst.name}' are at the ends of its range",
            f"so it is in {len(full)} layers; the slope is nearly 0 there, and so is the gradient",
            "start with smaller weights (`init: [{weight: xavier, bias: 0}]`), and normalise the "
            "images",
            follows=("not_normalised",),
        )


def _grown_or_faded(signals: Sequence[Signal], images: Tensor) -> Iterator[Finding]:
    """What has become of the differences between images before the last layer with weights."""
    weighted = [s for s in signals if s.has_weights]
    if len(weighted) < 3:
        return
    start = max(variation(images), 1e-12)
    *hidden, last = weighted
    largest = max(hidden, key=lambda s: s.varies if math.isfinite(s.varies) else math.inf)
    path = ", ".join(f"{s.name} {s.varies:.2g}" for s in hidden[:: max(1, len(hidden) // 5)])
    evidence = f"deviation from image to image: images {start:.2g}, {path}"
    remedy = (
        "start with weights that keep the deviation (`init: [{weight: kaiming, bias: 0}]`), or put "
        "batch_norm after each convolution"
    )
    before = signals[: signals.index(last)]
    if not largest.varies / start <= GROWN:
        grown = f"{largest.varies / start:.0e} times"
        headline = f"by '{largest.name}' the activations have grown {grown}"
        yield Finding("exploding_activations", headline, evidence, remedy)
    elif loud := next((s for s in before if _is_loud(s)), None):
        yield Finding(
            "exploding_activations",
            f"'{loud.name}' makes what it reads {loud.varies / loud.read_varies:.0f} times larger",
            f"its outputs have a deviation of {loud.deviation:.2g}; {evidence}",
            "look at its factor, and how it starts; or put batch_norm behind it",
        )
    elif (left := last.read_varies / start) < FADED:
        headline = f"before '{last.name}' images differ by {left:.0e} of what they did"
        if left == 0:
            headline = f"before '{last.name}' all images are the same"
        flat = next((s for s in before if _is_flat(s) and s.read_varies > FADED * start), None)
        if flat is not None:
            headline = f"'{flat.name}' makes all images the same"
            remedy = f"remove '{flat.name}', or look at what it divides by, and how it starts"
        follows: tuple[str, ...] = (*SILENT, "eval_mode_batch_norm")
        if squashed := squashing(signals):
            follows = (*SILENT, "vanishing_gradients")
            remedy = (
                f"use relu in place of the {squashed} sigmoids or tanhs, or put batch_norm after "
                "each convolution"
            )
        yield Finding("vanishing_activations", headline, evidence, remedy, follows=follows)
    elif damped := [s for s in before if _is_damping(s)]:
        name, share = damped[0].name, damped[0].varies / damped[0].read_varies
        yield Finding(
            "vanishing_activations",
            f"'{name}' leaves {share:.1%} of the differences between images",
            f"such layers without weights: {len(damped)}; {evidence}",
            f"use relu in place of '{name}'",
            is_certain=False,
            follows=(*SILENT, "not_normalised"),
        )


def _is_flat(signal: Signal) -> bool:
    """Whether images are alike behind it, and no weights of a matrix or a kernel are to blame."""
    return not signal.mixes and signal.varies <= EQUAL * signal.read_varies


def _is_loud(signal: Signal) -> bool:
    return signal.varies > LOUD * max(signal.read_varies, 1e-12) and signal.deviation > HIGH


def _is_damping(signal: Signal) -> bool:
    if signal.has_weights or not signal.keeps_shape:
        return False
    return signal.varies < min(SMALL, DAMPS * signal.read_varies)


def _undecided(criterion: Criterion, logits: Tensor, targets: Tensor) -> float:
    """The loss of outputs that are all 0: where classes are uneven, or numbers large, it is far
    above that of guessing, and nothing is wrong with that before the first step."""
    loss = float(criterion(torch.zeros_like(logits), targets))
    return loss if math.isfinite(loss) else 0.0


def _too_sure(loss: float, chance: float) -> Iterator[Finding]:
    if not math.isfinite(loss):
        yield Finding(
            "not_finite",
            f"the loss of the first images is {loss}",
            "with the initial weights",
            "look at the images (`cnntrain data check`) and at the initial weights",
        )
    elif 0 < chance < (loss - 1) / LARGE:
        yield Finding(
            "large_initial_loss",
            f"the first loss is {loss:.3g}, {loss / chance:.0f} times that of guessing",
            f"outputs of 0 or guessing give {chance:.3g}: the initial outputs are large, so the "
            "network is sure of answers that nothing supports",
            "start the last layer with smaller weights: `{names: output, weight: {normal: "
            "{std: 0.01}}, bias: 0}` in `init`",
            is_certain=loss > SURE * chance,
            follows=("not_normalised", "exploding_activations"),
        )


def _table(signals: Sequence[Signal]) -> Table:
    rows = tuple(
        (s.name, s.kind, s.deviation, s.varies, s.zero_units, s.saturated) for s in signals
    )
    columns = ("layer", "kind", "deviation", "from image to image", "dead units", "saturated")
    return Table("each layer's outputs over the first images", columns, rows)
