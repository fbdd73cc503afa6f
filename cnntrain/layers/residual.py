"""Residual connection."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from cnntrain.layers import layer
from cnntrain.layers.shapes import shape_out


@layer("residual", affine="plain")
class Residual(nn.Module):
    """Residual connection: body(x) + shortcut(x).

    Without a given shortcut it is the identity if the body keeps the shape, and else a projection:
    a 1x1 convolution without bias, with the body's stride, and batch normalisation (option B).
    He et al., "Deep Residual Learning for Image Recognition", 2015, equations 1 and 2. With
    `project: false` a body that changes the shape stands alone, as in the inverted residuals of
    Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", 2018, figure 4d.

    Shape: (N, C, H, W) -> the body's.

    Args:
        body: the layers of the residual branch.
        shortcut: the layers of the other branch; null means the identity, or a projection where
            the body changes the shape.
        project: whether there is a projection where the body changes the shape, or else no
            shortcut.

    Raises:
        ValueError: the shapes of the two branches differ, no projection can join them, or there is
            both a shortcut and `project: false`.
    """

    beside: str | None = (
        "shortcut"  # reads what the body reads; where it is not given, the layer makes it
    )

    def __init__(
        self,
        *,
        in_shape: tuple[int, ...],
        body: nn.Module,
        shortcut: nn.Module | None = None,
        project: bool = True,
    ) -> None:
        super().__init__()
        out_shape = shape_out(body)
        if shortcut is not None and shape_out(shortcut) != out_shape:
            raise ValueError(
                f"residual: the body gives {out_shape} and the shortcut {shape_out(shortcut)}; "
                f"make them equal, or leave the shortcut out to have one made"
            )
        if shortcut is not None and not project:
            raise ValueError(
                "residual: `project: false` is about residuals without a `shortcut`; "
                "remove one of the two"
            )
        self.body = body
        self.shortcut: nn.Module | None = None
        if shortcut is not None:
            self.shortcut = shortcut
        elif out_shape == in_shape:
            self.shortcut = nn.Identity()
        elif project:
            self.shortcut = projection(in_shape, out_shape)
        else:
            self.beside = None

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, *out_shape of the body)."""
        total: Tensor = self.body(x)
        return total if self.shortcut is None else total + self.shortcut(x)


def projection(in_shape: tuple[int, ...], out_shape: tuple[int, ...]) -> nn.Sequential:
    """`conv1`, 1x1 with the stride that leads from one shape to the other, and `batch_norm1`.

    Raises:
        ValueError: no stride does.
    """
    remedy = "give the body padding 'same' so that it only strides, or write a shortcut"
    if len(in_shape) != 3 or len(out_shape) != 3:
        raise ValueError(
            f"residual: the body turns {in_shape} into {out_shape}, and only maps (C, H, W) have "
            f"a projection; make the shapes equal, or write a shortcut"
        )
    stride = tuple(-(-before // after) for before, after in zip(in_shape, out_shape, strict=True))
    reached = tuple(-(-before // step) for before, step in zip(in_shape, stride, strict=True))
    if reached[1:] != out_shape[1:]:
        raise ValueError(
            f"residual: no stride of a 1x1 convolution leads from {in_shape} to the body's "
            f"{out_shape}; {remedy}"
        )
    conv = nn.Conv2d(in_shape[0], out_shape[0], 1, stride=(stride[1], stride[2]), bias=False)
    norm = nn.BatchNorm2d(out_shape[0])
    return nn.Sequential(OrderedDict(conv1=conv, batch_norm1=norm))
