"""Check `sight`: what can the network see, and what can it say?"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cnntrain.arch.plan import Plan
from cnntrain.core.remark import Remark
from cnntrain.diagnose import check
from cnntrain.diagnose.report import Finding, Report
from cnntrain.layers.global_pool import GlobalMaxPool
from cnntrain.show.words import counted, listed

WORK, MOST = 2e10, 64
"""Multiply-adds of the noise that is passed through, about, and images of it at the most."""

SHARE = 0.15
"""Of the pixels, that no output depends on: from here on it is not the border of a stride."""


@check("sight", place=0.2)
def check_sight(
    *, net: nn.Module, plan: Plan, sights: Sequence[Remark] = (), seed: int = 0
) -> Report:
    """Look at the plan, then ask the network itself: the derivative of random sums of its outputs.

    A pixel whose derivative is exactly 0 in all of several images of noise is one that no output
    depends on. Max pooling depends on one pixel at a time, so means stand in for it.

    Args:
        net: with its initial weights; it is not changed.
        plan: of the network.
        sights: what the plan alone shows.
        seed: seed of the noise.
    """
    seen = _Seen.by(net, plan, seed=seed)
    findings = [Finding(**vars(remark)) for remark in sights]
    if seen is not None and not any(each.fault == "unseen_pixels" for each in findings):
        findings += _unseen(seen)
    least = min((node.out_shape for node in plan.body.nodes), key=_size)
    values = counted(_size(least), "value")
    headline = f"every channel reaches the outputs; the narrowest layer has {values}"
    return Report(
        "sight",
        findings[0].headline if findings else headline,
        tuple(findings),
        numbers={
            "unseen_pixels": None if seen is None else seen.unseen,
            "parameters": plan.parameters,
        },
    )


@dataclass(frozen=True)
class _Seen:
    """Which values `(C, H, W)` outputs depend on, and the same of each outermost layer."""

    outputs: Tensor
    layers: dict[str, Tensor]

    @property
    def unseen(self) -> float:
        """Share of the pixels that are seen in no channel."""
        return 1 - float(self.outputs.any(dim=0).float().mean())

    @property
    def blind(self) -> list[int]:
        """The channels of which nothing is seen."""
        return [i for i, each in enumerate(self.outputs.flatten(1).any(dim=1)) if not each]

    @staticmethod
    def by(net: nn.Module, plan: Plan, *, seed: int) -> _Seen | None:
        """None where outputs depend on nothing at all, which other checks see."""
        judged = _with_means(copy.deepcopy(net).eval())
        place = next(judged.parameters())
        count = int(min(max(2, WORK / (3 * max(1, plan.multiply_adds))), MOST))
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(count, *plan.body.in_shape, generator=generator)
        images = noise.to(place.device).requires_grad_()
        kept: dict[str, Tensor] = {}
        for name, module in judged.named_children():
            module.register_forward_hook(
                lambda _m, _i, output, name=name: kept.update({name: output})
            )
        with torch.enable_grad():
            outputs = judged(images)
        seen = _depends(outputs, images, generator)
        if not seen.any():
            return None
        is_whole = seen.flatten(1).any(dim=1).all() and seen.any(dim=0).float().mean() > 1 - SHARE
        names = [] if is_whole else list(kept)
        return _Seen(seen, {name: _depends(kept[name], images, generator) for name in names})


def _with_means(net: nn.Module) -> nn.Module:
    """The network with means in place of maxima, which depend on the same pixels."""
    for parent in net.modules():
        for name, child in parent.named_children():
            if isinstance(child, GlobalMaxPool):
                parent.add_module(name, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()))
            elif isinstance(child, nn.MaxPool2d) and child.dilation == 1:
                window = child.kernel_size, child.stride, child.padding
                parent.add_module(name, nn.AvgPool2d(*window, ceil_mode=child.ceil_mode))
    return net


def _depends(outputs: Tensor, images: Tensor, generator: torch.Generator) -> Tensor:
    weights = torch.randn(outputs.shape, generator=generator).to(outputs.device)
    asked = torch.zeros_like(images)
    if outputs.requires_grad:
        total = (outputs * weights).sum()
        (found,) = torch.autograd.grad(total, images, retain_graph=True, allow_unused=True)
        asked = asked if found is None else found
    return (asked != 0).any(dim=0)


def _unseen(seen: _Seen) -> Iterator[Finding]:
    what = ""
    if seen.blind and len(seen.blind) < len(seen.outputs):
        what = f"{'channel' if len(seen.blind) == 1 else 'channels'} {listed(seen.blind)}"
    elif seen.unseen > SHARE:
        what = f"{seen.unseen:.0%} of the pixels"
    if not what:
        return
    guilty = next(
        (name for name, each in seen.layers.items() if not (each & ~seen.outputs).any()), ""
    )
    yield Finding(
        "unseen_pixels",
        f"no output depends on {what}" + (f": '{guilty}' leaves it out" if guilty else ""),
        "the derivative of all outputs is exactly 0 there, whatever the image; channels are "
        "counted from 0",
        f"look at '{guilty}', and what is before it" if guilty else "look at the first layers",
        layers=(guilty,) if guilty else (),
    )


def _size(shape: Sequence[int]) -> int:
    return int(torch.Size(shape).numel())
