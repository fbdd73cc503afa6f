"""The same numbers as on the CPU, within what float32 allows, and the same run after a stop."""

from __future__ import annotations

import copy
import signal
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch

from cnntrain.assemble.networks import make_network
from cnntrain.checkpoint import load as load_checkpoint
from cnntrain.checkpoint import tensors_in
from cnntrain.config.load import load_text
from cnntrain.fit.fit import fit, resume
from cnntrain.train import StepDone, evaluation_mode
from on_gpu.cases import CONFIGS, open_case
from on_gpu.report import Figures, Piece, rounded

NETWORKS = ("digits", "lenet5", "resnet20_cifar10", "googlenet_cifar10", "alexnet_cifar10")
CLOSE = {"outputs": 1e-4, "gradients": 1e-3}
"""Largest difference, relative to the largest value: sums are added in another order."""
CIFAR_LIKE = """
arch: archs/resnet20.yaml
data:
  name: synthetic
  images: 1024
  test_images: 0
  batch_size: 128
  transforms: {train: [{random_crop: {size: 32, padding: 4}}, horizontal_flip, normalize]}
train:
  epochs: 3
  optimizer: {name: sgd, lr: 0.05, weight_decay: 5e-4}
record: {tensorboard: false}
"""
DIGITS = """
arch: archs/digits.yaml
data: {name: digits, batch_size: 64, transforms: {train: [{affine: {rotate: 10}}, normalize]}}
train: {epochs: 3, optimizer: {name: adamw, lr: 1e-3}, ema: {decay: 0.9}}
record: {tensorboard: false}
"""
CLOCK = ("seconds", "data_seconds", "run_seconds", "so_far")


def same_as_cpu(device: torch.device, *, is_rehearsal: bool) -> Iterator[Piece]:
    """Outputs and gradients of networks with the same weights."""
    for name in NETWORKS[: 2 if is_rehearsal else None]:
        yield Piece(name, partial(differences, CONFIGS / f"{name}.yaml", device=device))


def differences(file: Path, *, device: torch.device) -> Figures:
    """Of a network's outputs and gradients, without TF32."""
    case = open_case(file, images=16)
    net = make_network(case.plan, seed=0)
    images = torch.randn(16, *case.plan.body.in_shape, generator=torch.Generator().manual_seed(0))
    tf32, torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.allow_tf32, False
    try:
        here = _outputs_and_gradients(net, images, torch.device("cpu"))
        there = _outputs_and_gradients(copy.deepcopy(net), images, device)
    finally:
        torch.backends.cudnn.allow_tf32 = tf32
    found: Figures = {}
    for what, ours, theirs in zip(CLOSE, here, there, strict=True):
        apart = max(
            float((a - b.cpu()).abs().max() / a.abs().max().clamp(min=1e-6))
            for a, b in zip(ours, theirs, strict=True)
        )
        found[what] = rounded(apart)
    return {**found, "ok": all(found[what] <= most for what, most in CLOSE.items())}


def _outputs_and_gradients(
    net: torch.nn.Module, images: torch.Tensor, device: torch.device
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    net.to(device)
    with evaluation_mode(net):
        outputs = net(images.to(device))
    outputs.square().sum().backward()
    whole = torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None])
    return [outputs.detach()], [whole]


def resumed(device: torch.device, *, is_rehearsal: bool) -> Iterator[Piece]:
    """Stopped in the middle of an epoch and resumed, or not: the same bits."""
    runs = {"digits": DIGITS, "cifar-like": CIFAR_LIKE}
    for precision in ("float32",) if is_rehearsal else ("float32", "bfloat16", "float16"):
        for name, text in runs.items():
            if not is_rehearsal or name == "digits":
                work = partial(same_bits, text, precision=precision, device=device)
                yield Piece(f"{name} {precision}", work)


class StopAt:
    """An observer that asks for a stop, as Ctrl-C does, at a step."""

    def __init__(self, step: int) -> None:
        self._step = step

    def observe(self, event: object) -> None:
        """Look at each step."""
        if isinstance(event, StepDone) and event.step == self._step:
            signal.raise_signal(signal.SIGINT)

    def close(self) -> None:
        """Nothing is open."""


def same_bits(text: str, *, precision: str, device: torch.device) -> Figures:
    """Compare the last checkpoints of a run in one piece and of one in two."""
    changes = [f"compute.device={device.type}", "compute.deterministic=true"]
    changes.append(f"compute.precision={precision}")
    loaded = load_text(text, file=CONFIGS / "checked.yaml", overrides=changes)
    with tempfile.TemporaryDirectory() as folder:
        one, two = Path(folder) / "one", Path(folder) / "two"
        fit(loaded, out=one, silent=True)
        fit(loaded, out=two, silent=True, observers=[StopAt(11)])
        resume(two, quiet=True)
        first, second = (load_checkpoint(run / "checkpoints" / "last.pt") for run in (one, two))
    pairs = list(zip(tensors_in(_timeless(first)), tensors_in(_timeless(second)), strict=True))
    different = sum(not torch.equal(a, b) for a, b in pairs)
    return {"ok": different == 0, "tensors": len(pairs), "different": different}


def _timeless(state: dict[str, Any]) -> dict[str, Any]:
    """A checkpoint without what the clock made."""
    return {**state, "train": {k: v for k, v in state["train"].items() if k not in CLOCK}}
