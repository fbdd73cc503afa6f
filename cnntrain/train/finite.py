"""Values that are not finite: noticed on the device, and named at the layer that they come from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache, partial

import torch
from torch import Tensor, nn

from cnntrain.core.errors import CnntrainError, DataError, DivergedError
from cnntrain.data.batch import Batch
from cnntrain.show.words import listed
from cnntrain.tasks.criterion import Criterion
from cnntrain.train.precision import Precision, autocast

DOCTOR = "`cnntrain diagnose RUN` looks for the cause"

LOOK_AT_DATA = "look at the data and at the transforms: 'cnntrain data check'"

IN_USE = f"train with a lower learning rate, or use another checkpoint; {DOCTOR}"


class ImagesNotFiniteError(DataError):
    """Images hold values that are not finite, after their transforms.

    Args:
        numbers: which of them.
        whole: what they are counted in, from 0, such as "the batch".
    """

    def __init__(self, numbers: Sequence[int], *, whole: str) -> None:
        self.numbers = tuple(numbers)
        super().__init__(
            f"numbers {listed(numbers, most=5)} (from 0) of {whole} hold values that are not "
            "finite, after their transforms",
            remedy=LOOK_AT_DATA,
        )


def mark_non_finite(tensors: Sequence[Tensor], *, flag: Tensor) -> None:
    """Set a 0-d float32 flag to 1 if any value is infinite or NaN; it never goes back to 0.

    One kernel for all tensors and no host synchronisation (what torch's GradScaler uses); the
    tensors are multiplied by 1 in place.
    """
    torch._amp_foreach_non_finite_check_and_unscale_(list(tensors), flag, _one(flag.device))


@cache
def _one(device: torch.device) -> Tensor:
    return torch.ones((), device=device)


def all_finite(tensors: Iterable[Tensor]) -> bool:
    """Whether every value of every floating-point tensor is finite; waits for the device.

    A sum with a value that is not finite never is, and is read at the speed of memory; the values
    themselves are looked at where a sum is not, which may only be too large.
    """
    floating = [tensor for tensor in tensors if tensor.is_floating_point()]
    return _sums_finite(floating) or all(bool(tensor.isfinite().all()) for tensor in floating)


def _sums_finite(tensors: Sequence[Tensor]) -> bool:
    sums = [tensor.detach().sum(dtype=torch.float32).isfinite() for tensor in tensors]
    return not sums or bool(torch.stack(sums).all())


def images_not_finite(images: Tensor) -> list[int]:
    """The positions in a batch of the images that hold such values; waits for the device."""
    return (~images.isfinite().flatten(1).all(dim=1)).nonzero().flatten().tolist()


def layers_not_finite(net: nn.Module) -> Iterator[tuple[str, str]]:
    """The layers that hold such values, in the order of the network, each with the first tensor."""
    for layer, module in net.named_modules():
        own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
        bad = [name for name, tensor in own if not all_finite([tensor])]
        if bad:
            yield layer, f"{layer}.{bad[0]}" if layer else bad[0]


def refuse_weights_not_finite(net: nn.Module, *, of: str, remedy: str = IN_USE) -> None:
    """Raise a DivergedError that names the first layer whose weights are not finite, if any is."""
    if all_finite(net.state_dict().values()):
        return
    found = list(layers_not_finite(net))
    others = f", and {len(found) - 1} more layers" if len(found) > 2 else ""
    others = f", and those of '{found[1][0]}'" if len(found) == 2 else others
    layer, tensor = found[0]
    raise DivergedError(
        f"the weights of layer '{layer}' of {of} are not finite ({tensor}{others})", remedy=remedy
    )


def why_not_finite(
    net: nn.Module,
    batch: Batch,
    *,
    criterion: Criterion | None = None,
    precision: Precision = "float32",
    first: int = 0,
    whole: str = "the images",
) -> CnntrainError:
    """What to raise where a network's outputs, or its loss, for a batch are not finite.

    Args:
        net: in evaluation mode.
        batch: images as the network reads them, and targets, which only the loss reads.
        criterion: the loss; None where only the outputs were wanted.
        precision: of the forward pass.
        first: number of the batch's first image in `whole`.
        whole: what the images are of, and are counted in.

    Returns:
        A DataError where the images are not finite themselves, else a DivergedError.
    """
    if bad := images_not_finite(batch.images):
        return ImagesNotFiniteError([first + number for number in bad], whole=whole)
    for layer, tensor in layers_not_finite(net):
        return DivergedError(
            f"the weights of layer '{layer}' are not finite ({tensor})", remedy=IN_USE
        )
    found: list[str] = []

    def look(name: str, module: nn.Module, outputs: list[Tensor]) -> None:
        if not found and not all_finite(outputs):
            found.append(f"the output of layer '{name}' ({type(module).__name__})")

    with torch.no_grad(), watched(net, look), autocast(precision, batch.images.device):
        outputs = net(batch.images)
    what = found[0] if found else "the output of the network"
    if not found and criterion is not None and all_finite(tensors_of(outputs)):
        what = "the loss"
    wider = "" if precision != "float16" else "; bfloat16 or float32 have a wider range"
    return DivergedError(
        f"{what} is not finite on some of {whole}, though the images and the weights are",
        remedy=IN_USE + wider,
    )


@contextmanager
def watched(net: nn.Module, look: Callable[[str, nn.Module, list[Tensor]], None]) -> Iterator[None]:
    """Inside the block every layer's outputs are shown to `look`, with the layer and its name."""

    def hook(name: str, module: nn.Module, _inputs: object, output: object) -> None:
        look(name, module, tensors_of(output))

    with ExitStack() as hooks:
        for name, module in net.named_modules():
            if not list(module.children()):
                hooks.enter_context(module.register_forward_hook(partial(hook, name)))
        yield


def tensors_of(value: object) -> list[Tensor]:
    """Those in an output, which may be several."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, list | tuple):
        return [tensor for inner in value for tensor in tensors_of(inner)]
    return []
