"""A network in float64: its derivatives beside finite differences."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cnntrain.data.batch import Batch
from cnntrain.diagnose.differences import Difference, compare_derivatives
from cnntrain.diagnose.modes import steady_copy
from cnntrain.tasks.criterion import Criterion


def compare(
    net: nn.Module, batch: Batch, *, criterion: Criterion, weights: int, seed: int = 0
) -> list[Difference] | str:
    """The comparison on a float64 copy; a sentence where the network does not run in float64."""
    exact, batch = in_float64(net, batch, seed=seed)
    aux = tuple(getattr(net, "aux_weights", ()))

    def loss() -> Tensor:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            output = exact(batch.images)
        logits, heads = output if isinstance(output, tuple) else (output, ())
        total = criterion(logits, batch.targets)
        for weight, head in zip(aux if heads else (), heads, strict=True):
            total = total + weight * criterion(head, batch.targets)
        return total

    try:
        value = loss()
    except RuntimeError as error:  # a layer of the user's that knows float32 only
        return str(error).partition("\n")[0]
    if value.dtype != torch.float64 or not value.isfinite():
        return "its loss is not finite" if value.dtype == torch.float64 else "it rounds to float32"
    named = list(exact.named_parameters())
    if len(named) > weights:
        named = [named[i * len(named) // weights] for i in range(weights)]
    per_tensor = max(1, min(6, weights // max(1, len(named))))
    return list(compare_derivatives(loss, named, per_tensor=per_tensor, seed=seed))


def in_float64(net: nn.Module, batch: Batch, *, seed: int) -> tuple[nn.Module, Batch]:
    """A copy, all of it trainable, and images, both moved a little off special places.

    On the CPU where the device has no float64 (Apple's).
    """
    device = torch.device("cpu") if batch.images.is_mps else batch.images.device
    exact = steady_copy(net).to(device).double().to(memory_format=torch.contiguous_format)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in exact.parameters():
            parameter.requires_grad_(True)
            size = max(float(parameter.square().mean().sqrt()), 0.1)
            parameter.add_(_normal(parameter, generator), alpha=0.01 * size)
        images = batch.images.to(device).double().contiguous()
        images = images + 0.01 * _normal(images, generator)
    return exact, Batch(images, batch.targets.to(device))


def _normal(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator, dtype=torch.float64).to(like.device)
