"""Check `evaluation`: does the network, in evaluation, answer for each image by itself?"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from cnntrain.data.batch import Batch
from cnntrain.diagnose import check
from cnntrain.diagnose.report import Finding, Report, not_applicable
from cnntrain.train.briefly import Norm
from cnntrain.train.finite import layers_not_finite, why_not_finite

PAIRED = 16

DIFFERS = 0.01
"""Difference of two answers, of their own deviation, that no rounding explains."""


@check("evaluation", place=6)
def check_evaluation(*, trained: nn.Module, small_batch: Batch) -> Report:
    """Classify the same images twice, and some of them two by two.

    Batch normalisation that still uses the batch's statistics makes the answer for an image depend
    on the others; dropout that is still on makes it random. Weights or outputs that are not finite
    are found before.

    Args:
        trained: the network; it is not changed.
        small_batch: at least four images.
    """
    judged = copy.deepcopy(trained).eval()
    images = small_batch.images
    if len(images) < 4:
        return not_applicable("evaluation", "there are fewer than four images")
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        together, again = judged(images), judged(images)
        pairs = torch.split(images[:PAIRED], 2)
        apart = torch.cat([judged(pair) for pair in pairs if len(pair) == 2])
    if not together.isfinite().all() or any(layers_not_finite(judged)):
        return _not_finite(judged, small_batch)
    deviation = max(float(together.std()), 1e-6)
    repeated = _largest(together - again) / deviation
    divided = _largest(together[: len(apart)] - apart) / deviation
    findings = tuple(_findings(repeated, divided, judged, images))
    return Report(
        "evaluation",
        findings[0].headline if findings else "an image's answer depends on nothing but the image",
        findings,
        numbers={"repeated": repeated, "divided": divided},
    )


def _not_finite(judged: nn.Module, batch: Batch) -> Report:
    problem = why_not_finite(judged, batch, whole="the training images").problems[0]
    where = f"found with {len(batch.images)} training images, in evaluation"
    remedy = problem.remedy.partition(";")[0]  # what follows names the doctor
    finding = Finding("not_finite", problem.message, where, remedy)
    return Report("evaluation", finding.headline, (finding,))


def _findings(
    repeated: float, divided: float, judged: nn.Module, images: Tensor
) -> Iterator[Finding]:
    one, other = images[[0, 1]], images[[0, 2]]
    if repeated > DIFFERS:
        name = _changing(judged, one, one)
        what = _called(judged, name)
        yield Finding(
            "random_evaluation",
            "evaluating the same images twice gives different outputs"
            + (f": '{name}' is random" if name else ""),
            f"outputs differ by up to {repeated:.2g} of their deviation"
            + (f"; {what} is the first layer that gives another one" if name else ""),
            f"{what} must ask `self.training`, and do nothing at random without it",
            layers=(name,) if name else (),
        )
    elif divided > DIFFERS:
        name = _changing(judged, one, other)
        layer, what = judged.get_submodule(name), _called(judged, name)
        remedy = (
            f"{what} must compute each image by itself: no sum, mean or sorting over the first "
            "dimension in evaluation"
        )
        if isinstance(layer, Norm):
            remedy = (
                "in evaluation use the running statistics: `batch_norm` does, a layer of your own "
                "must ask `self.training`; and never call `train()` before evaluating"
            )
        first = f"; {what} is the first layer whose output for an image changes" if name else ""
        yield Finding(
            "eval_mode_batch_norm",
            "in evaluation the answer for an image depends on the others of its batch"
            + (f": '{name}' mixes them" if name else ""),
            f"outputs of the same images in other batches differ by up to {divided:.2g} of their "
            f"deviation{first}",
            remedy,
            layers=(name,) if name else (),
        )


def _called(judged: nn.Module, name: str) -> str:
    return f"'{name}' ({type(judged.get_submodule(name)).__name__})" if name else "the network"


@torch.no_grad()
def _changing(judged: nn.Module, *batches: Tensor) -> str:
    """The first layer that gives another output for a first image that it reads the same of.

    Layers end before those that they are in, so of several the innermost one is found.

    Args:
        judged: the network, in evaluation.
        batches: two, with the same image in front.
    """
    passes: list[dict[str, tuple[Tensor, ...]]] = []

    def look(name: str, _module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        given = (*inputs, output)
        passes[-1][name] = tuple(each[0] for each in given if isinstance(each, Tensor))

    with ExitStack() as hooks, torch.random.fork_rng(devices=[]):
        for name, module in judged.named_modules():
            hooks.callback(module.register_forward_hook(partial(look, name)).remove)
        for batch in batches:
            passes.append({})
            judged(batch)
    for name, (*reads, gives) in passes[0].items():
        *again, changed = passes[1][name]
        same = all(_differ(*pair) <= DIFFERS for pair in zip(reads, again, strict=True))
        if same and _differ(gives, changed) > DIFFERS:
            return name
    return ""


def _differ(one: Tensor, other: Tensor) -> float:
    """Largest difference, of the deviation."""
    deviation = float(one.float().std(correction=0)) if one.numel() > 1 else float(one.abs().sum())
    return _largest(one - other) / max(deviation, 1e-6)


def _largest(difference: Tensor) -> float:
    return float(difference.abs().max()) if difference.isfinite().all() else 0.0
