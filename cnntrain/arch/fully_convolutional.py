"""A network slid over images that are larger than those it was made for, as one computation.

Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", 2015,
section 3.2: the fully connected layers read every window of the last maps, of the size that they
were made for, and the scores of all windows are averaged. A network that ends in global pooling
does so by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from cnntrain.arch.network import Network
from cnntrain.core.errors import UsageError

Hook = Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]


class Dense(nn.Module):
    """The network, for images of any size from its own on; in evaluation mode.

    Where it flattens its maps it gets one row for each window of them, in place of one for each
    image, and all that follows, which treats rows one by one, works on these. Its weights are read,
    never copied or changed.

    Args:
        net: the network.
        in_shape: (C, H, W) of the images that it was made for.

    Shape:
        (N, C, H', W') -> (N, num_classes), the mean over the windows.

    Raises:
        UsageError: a layer cannot read larger images.
    """

    def __init__(self, net: Network, *, in_shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.net = net.eval()
        self._adapted: dict[nn.Module, Hook] = {}
        any_weight = next(net.parameters(), torch.empty(0))
        channels, height, width = in_shape
        with torch.inference_mode():
            with _watched(net, self._adapt):
                net(any_weight.new_zeros(1, channels, height, width))
            self._try(any_weight.new_zeros(2, channels, 2 * height, 2 * width))

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H', W') -> (N, num_classes)."""
        with ExitStack() as stack:
            for module, hook in self._adapted.items():
                stack.callback(module.register_forward_hook(hook).remove)
            scores: Tensor = self.net(images)
        return torch.unflatten(scores, 0, (len(images), -1)).mean(dim=1)

    def _adapt(self, name: str, module: nn.Module, before: Tensor, after: Tensor) -> None:
        """What a layer that fixes the size of the maps does in a larger image."""
        if isinstance(module, nn.Flatten) and before.ndim == 4:
            self._adapted[module] = _windows_of(before.shape[2], before.shape[3])
        elif isinstance(module, nn.AdaptiveAvgPool2d):
            if after.shape == before.shape:
                self._adapted[module] = lambda _module, inputs, _output: inputs[0]
            elif after.shape[2:] != (1, 1):
                sizes = [" x ".join(map(str, maps.shape[2:])) for maps in (before, after)]
                raise _impossible(
                    f"'{name}' ({self.net.operations.get(name)}) makes {sizes[1]} maps of "
                    f"{sizes[0]} ones, and no window of a larger map corresponds to that"
                )

    def _try(self, larger: Tensor) -> None:
        """Every layer must take larger maps; better said now, by name, than by torch."""
        with _watched(self.net, lambda *_: None) as running:
            try:
                self(larger)
            except (RuntimeError, ValueError) as error:
                where = running[-1] if running else ""
                layer = f"'{where}' ({self.net.operations.get(where)})" if where else "a layer"
                raise _impossible(f"{layer} takes no larger maps") from error


def _windows_of(height: int, width: int) -> Hook:
    """In place of flattening: each window of the maps as a row, image by image."""

    def rows(_module: nn.Module, inputs: tuple[Tensor, ...], _output: Tensor) -> Tensor:
        windows = inputs[0].unfold(2, height, 1).unfold(3, width, 1)
        return windows.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(0, 2)

    return rows


@contextmanager
def _watched(
    net: Network, see: Callable[[str, nn.Module, Tensor, Tensor], None]
) -> Iterator[list[str]]:
    """Shows each layer's name, module, input and output; gives the names of those that run."""
    names = {module: name for name, module in net.named_modules() if name in net.operations}
    running: list[str] = []

    def before(module: nn.Module, _inputs: object) -> None:
        running.append(names[module])

    def after(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        see(running.pop(), module, inputs[0], output)

    with ExitStack() as stack:
        for module in names:
            stack.callback(module.register_forward_pre_hook(before).remove)
            stack.callback(module.register_forward_hook(after).remove)
        yield running


def _impossible(reason: str) -> UsageError:
    return UsageError(
        f"this network cannot be evaluated densely: {reason}",
        remedy="use --crops center or --crops ten",
    )
