"""Class activation maps: where in an image a network sees a class."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from cnntrain.core.kinds import Names, Split
from cnntrain.explain import picture
from cnntrain.explain.shown import Decided, decide
from cnntrain.model.find_layers import find_layer, last_maps, pooled_end
from cnntrain.model.model import Model
from cnntrain.model.taps import Tap, tapped
from cnntrain.show.image_table import Cell, Picture, Scale, draw_table, heat
from cnntrain.show.pixels import enlarged, magnified


def class_activation(
    net: nn.Module, images: Tensor, *, classes: Sequence[int], pool: str, linear: str
) -> Tensor:
    """The last maps, weighted as the last layer weights their means for a class.

    `M_c(x, y) = sum over k of w[c, k] f[k](x, y)`; its mean over the image, with the bias, is the
    score. Zhou et al., "Learning Deep Features for Discriminative Localization", 2016, equation 2.

    Args:
        net: ends in a global average pooling `pool` and a layer `linear`; in evaluation mode.
        images: (N, C, H, W).
        classes: one for each image.

    Returns:
        (N, h, w), of the size of the last maps; negative where the place speaks against the class.
    """
    tap = Tap(pool, reads=True)
    with torch.inference_mode(), tapped(net, [tap]) as found:
        net(images)
        weight = net.get_submodule(linear).weight
        assert isinstance(weight, Tensor)
        return torch.einsum("nk,nkhw->nhw", weight[list(classes)], found[tap])


def grad_cam(net: nn.Module, images: Tensor, *, classes: Sequence[int], layer: str) -> Tensor:
    """A layer's maps, weighted by the mean slope of the class's score along each of them.

    Only what speaks for the class is kept: `relu(sum over k of a[k] f[k])`. Selvaraju et al.,
    "Grad-CAM", 2017, equations 1 and 2.

    Args:
        net: in evaluation mode.
        images: (N, C, H, W).
        classes: one for each image.
        layer: one that gives maps (N, K, h, w).

    Returns:
        (N, h, w).
    """
    tap = Tap(layer)
    seen = images.detach().clone().requires_grad_()
    with torch.enable_grad(), tapped(net, [tap]) as found:
        scores = net(seen)
        chosen = scores[range(len(images)), list(classes)]
        (slopes,) = torch.autograd.grad(chosen.sum(), found[tap])
        weights = slopes.mean(dim=(2, 3), keepdim=True)
        return (weights * found[tap]).sum(dim=1).relu().detach()


def draw_cam(found: Tensor, decided: Decided, *, title: str) -> Figure:
    """Each image, and under the map (N, h, w) of its class, which is scaled image by image."""
    least = min(decided.pixels.shape[1:3])
    images = magnified(decided.pixels, max(1, 112 // least))  # else the map has steps
    height, width = images.shape[1:3]
    maps = enlarged(found.cpu(), (height, width)).clamp_min(0)
    rows = []
    for image, each, caption, aim in zip(images, maps, decided.captions, decided.aims, strict=True):
        colours = heat(each.numpy(), low=0, high=float(each.max()), colours="inferno")
        grey = image.mean(axis=2, keepdims=True)
        both = 0.45 * grey + 0.55 * colours
        rows.append([Cell(image, caption), Cell(colours, aim), Cell(both)])
    return draw_table(
        rows,
        title=title,
        headings=["image", "what speaks for the class", "both"],
        side=2.0,
        scale=Scale("inferno", "0 or against", "the image's largest"),
    )


@picture("cam", forms=("classes",))
def cam(
    *,
    model: Model,
    images: Names = (),
    class_: str | None = None,
    layer: str | None = None,
    split: Split | None = None,
) -> Picture:
    """Where the network sees a class: CAM, or else Grad-CAM.

    CAM where the network ends in global average pooling and a linear layer. Grad-CAM for all
    others, and where a layer is named.
    """
    end = pooled_end(model) if layer is None else None
    if end is not None:
        pool, linear = end
        method = "Class activation map (Zhou et al. 2016)"
        how = f"what {pool} reads, weighted by {linear}"
        find = partial(class_activation, pool=pool, linear=linear)
    else:
        name = layer or last_maps(model)
        find_layer(model, name, maps=True)
        method = "Grad-CAM (Selvaraju et al. 2017)"
        how = f"maps of {name}, weighted by their mean gradient"
        find = partial(grad_cam, layer=name)
    decided = decide(model, images, class_, split=split)
    found = find(model.net, decided.images, classes=decided.targets)
    figure = draw_cam(found, decided, title=f"{method}\n{how}")
    return Picture(figure, {"method": method, "images": decided.facts}, f"{method}: {how}")
