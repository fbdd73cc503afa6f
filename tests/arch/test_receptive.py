"""Receptive fields: tables computed by hand, and the gradient of one unit by the image.

With positive weights and a positive image no two paths cancel, so a pixel is seen exactly where
the gradient is not zero.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from cnntrain.arch.build import build
from cnntrain.arch.plan import Plan
from cnntrain.arch.receptive import Axis, Field, Window, window
from cnntrain.arch.table import rows

Planned = Callable[..., Plan]

LENET = """
layers:
  - conv: {out: 1, kernel: 5, padding: 2}
  - avg_pool
  - conv: {out: 1, kernel: 5, padding: 2}
  - avg_pool
"""


def field_of(plan: Plan) -> Field:
    field = plan.body.receptive_field
    assert field is not None
    return field


def span(axis: Axis, unit: int) -> tuple[int, int]:
    """First and last pixel that a unit sees, borders not regarded."""
    centre = axis.start + unit * axis.jump
    return round(centre - (axis.size - 1) / 2), round(centre + (axis.size - 1) / 2)


def test_sizes_jumps_and_offsets_of_a_lenet(planned: Planned) -> None:
    # A pixel sees 1; 5x5: 1 + 4; pooling: + 1; 5x5 at distance 2: + 8; pooling at distance 2: + 2.
    fields = [node.receptive_field for _, node in planned(LENET, shape=(1, 28, 28)).walk()]
    axes = [field.height for field in fields if field]
    assert [axis.size for axis in axes] == [5, 6, 14, 16]
    assert [axis.jump for axis in axes] == [1, 2, 2, 4]
    assert [span(axis, 0)[0] for axis in axes] == [-2, -2, -6, -6]


def test_what_the_seven_units_of_a_lenet_cover(planned: Planned) -> None:
    # Of 28 pixels, counted from 1; and in how many of the seven fields each pixel lies.
    axis = field_of(planned(LENET, shape=(1, 28, 28))).height
    spans = [span(axis, unit) for unit in range(7)]
    inside = [(max(low, 0) + 1, min(high, 27) + 1) for low, high in spans]
    assert inside == [(1, 10), (1, 14), (3, 18), (7, 22), (11, 26), (15, 28), (19, 28)]
    cover = [sum(low <= pixel <= high for low, high in inside) for pixel in range(1, 29)]
    assert cover == [2, 2, 3, 3, 3, 3, *[4] * 16, 3, 3, 3, 3, 2, 2]


@pytest.mark.parametrize(
    ("layers", "sizes"),
    [
        # Simonyan and Zisserman 2014, section 2.3: three 3x3 layers see 7x7.
        ("[{conv: {out: 1}, repeat: 3}]", [3, 5, 7]),
        # Yu and Koltun 2016, figure 1: dilations 1, 2, 4 of 3x3 see 3, 7, 15.
        (
            "[conv: {out: 1}, conv: {out: 1, dilation: 2}, conv: {out: 1, dilation: 4}]",
            [3, 7, 15],
        ),
        # Krizhevsky et al. 2012: 11x11 stride 4, pooling 3 stride 2, 5x5 (11 + 2 x 4 + 4 x 8).
        (
            "[conv: {out: 1, kernel: 11, stride: 4}, max_pool: {kernel: 3, stride: 2}, "
            "conv: {out: 1, kernel: 5, padding: 2}]",
            [11, 19, 51],
        ),
    ],
)
def test_published_sizes(planned: Planned, layers: str, sizes: list[int]) -> None:
    plan = planned(f"layers: {layers}", shape=(1, 63, 63))
    found = [node.receptive_field for _, node in plan.walk()]
    assert [field.height.size for field in found if field] == sizes


NETS = {
    "valid convolutions": "[conv: {out: 2}, relu, conv: {out: 2, kernel: 5}]",
    "even kernels": "[conv: {out: 2, kernel: 2}, conv: {out: 2, kernel: 4, padding: 1}]",
    "strides": "[conv: {out: 2, kernel: 5, stride: 2, padding: 2}, conv: {out: 2, stride: 3}]",
    "a stride that skips pixels": "[conv: {out: 2, kernel: 1, stride: 2}, conv: {out: 2}]",
    "oblong": "[conv: {out: 2, kernel: [3, 5], stride: [2, 1], padding: [0, 2]}, avg_pool: "
    "{kernel: [1, 3], stride: [1, 2]}]",
    "dilation": "[conv: {out: 2, dilation: 3, padding: same}, conv: {out: 2, dilation: [1, 2]}]",
    "pooling": "[conv: {out: 2}, max_pool: {kernel: 3, stride: 2, padding: 1}, conv: {out: 2}]",
    "pooling rounded up": "[avg_pool: {kernel: 3, stride: 2, ceil: true}, conv: {out: 2}]",
    "normalisation": "[conv: {out: 4}, batch_norm, local_response_norm, prelu, conv: {out: 2}]",
    "lcn": "[conv: {out: 2}, lcn: {kernel: 5, floor: 1.0}]",
    "residual": "[residual: {body: [conv: {out: 3, padding: same}, relu, conv: {out: 3, "
    "padding: same}]}, conv: {out: 2, kernel: 2}]",
    "residual with projection": "[conv: {out: 2}, residual: {body: [conv: {out: 4, padding: same, "
    "stride: 2}, conv: {out: 4, padding: same}]}, conv: {out: 2}]",
    "residual with a wide shortcut": "[residual: {body: [conv: {out: 3, kernel: 1}], shortcut: "
    "[conv: {out: 3, kernel: 5, padding: same}]}]",
    "branches": "[conv: {out: 2}, branches: {paths: {a: [conv: {out: 1, kernel: 1}], b: [conv: "
    "{out: 1, padding: same}], c: [conv: {out: 1, kernel: 7, padding: 3}]}}]",
    "branches that look aside": "[branches: {merge: add, paths: {a: [conv: {out: 1, kernel: 2, "
    "stride: 2}], b: [conv: {out: 1, stride: 2, padding: 1}]}}, conv: {out: 1}]",
    "from above": "[{conv: {out: 2, padding: same}, as: a}, {conv: {out: 2, kernel: 7, padding: "
    "same}, as: b}, {concat: , from: [a, b, input]}, conv: {out: 1, stride: 2}]",
    "a block repeated": "[{sequence: {layers: [conv: {out: 3}, relu]}, repeat: 3, as: deep}]",
    "option A": "[conv: {out: 3, padding: same}, residual: {body: [conv: {out: 4, padding: same, "
    "stride: 2}], shortcut: [zero_pad_shortcut: {out: 4, stride: 2}]}, conv: {out: 2}]",
}  # fmt: skip


def positive(net: nn.Module) -> nn.Module:
    """The net in evaluation with positive weights, and means in place of maxima."""
    for name, module in list(net.named_modules()):
        if isinstance(module, nn.MaxPool2d):
            mean = nn.AvgPool2d(module.kernel_size, module.stride, module.padding)
            net.set_submodule(name, mean)
    for parameter in net.parameters():
        nn.init.uniform_(parameter, 0.5, 1.5)
    return net.eval().double()


def seen_pixels(net: nn.Module, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Which rows every row of units sees, `(H', H)`, and which columns every column, `(W', W)`."""
    image = torch.rand(1, *shape, dtype=torch.float64) + 0.5
    image.requires_grad_()
    output = net(image).sum(dim=1)[0]

    def gradients(units: Tensor, keep: int) -> Tensor:
        found = [torch.autograd.grad(unit, image, retain_graph=True)[0] for unit in units]
        return torch.stack([g[0].abs().sum(dim=0).sum(dim=1 - keep) > 0 for g in found])

    return gradients(output.sum(dim=1), 0), gradients(output.sum(dim=0), 1)


@pytest.mark.parametrize("name", NETS)
def test_the_field_is_where_the_gradient_is(planned: Planned, name: str) -> None:
    torch.manual_seed(0)
    shape = (3, 26, 24)
    plan = planned(f"layers: {NETS[name]}", shape=shape)
    field = field_of(plan)
    for axis, seen in zip(
        (field.height, field.width), seen_pixels(positive(build(plan)), shape), strict=True
    ):
        checked = 0
        for unit, pixels in enumerate(seen):
            low, high = span(axis, unit)
            found = pixels.nonzero().flatten().tolist()
            assert max(low, 0) <= found[0] <= found[-1] <= min(high, len(pixels) - 1)
            if low >= 0 and high < len(pixels):
                assert (found[0], found[-1]) == (low, high)
                checked += 1
        assert checked, "no unit has its whole field inside the image"


@pytest.mark.parametrize(
    "layers",
    [
        "[conv: {out: 2}, global_avg_pool]",
        "[flatten, linear: {out: 3}, relu]",
        "[{global_avg_pool: , as: a}, {flatten: , from: input}, {concat: , from: [a, flatten1]}]",
    ],
)
def test_some_layers_see_the_whole_image(planned: Planned, layers: str) -> None:
    plan = planned(f"layers: {layers}")
    assert field_of(plan).whole
    assert rows(plan)[-1].receptive_field == "image"


def test_padding_may_be_in_words() -> None:
    # torch pads kernel - 1 zeros in all, the smaller half of an odd number first.
    assert window(nn.Conv2d(1, 1, (5, 4), padding="same"), 0) == Window(5, 1, 2, 1)
    assert window(nn.Conv2d(1, 1, (5, 4), padding="same"), 1) == Window(4, 1, 1, 1)
    assert window(nn.Conv2d(1, 1, 3, padding="same", dilation=2), 0) == Window(3, 1, 2, 2)
    assert window(nn.Conv2d(1, 1, 3, padding="valid", stride=2), 0) == Window(3, 2, 0, 1)


def test_an_attribute_in_unknown_words_states_no_window() -> None:
    layer = nn.Conv2d(1, 1, 3)
    layer.padding = "reflect"
    assert window(layer, 0) is None


def test_paths_of_unequal_stride_have_no_one_field(planned: Planned) -> None:
    # 5x5 shrinks to 2x2 with stride 2 and with stride 3: unit 1 sees pixels 2-4 here and 3-4 there.
    paths = "{a: [conv: {out: 1, kernel: 3, stride: 2}], b: [conv: {out: 1, kernel: 2, stride: 3}]}"
    plan = planned(f"layers: [branches: {{paths: {paths}}}]", shape=(1, 5, 5))
    assert plan.body.receptive_field is None
    assert rows(plan)[0].receptive_field is None


def test_a_projection_of_another_stride_has_no_one_field_with_the_body(planned: Planned) -> None:
    # 7x7 shrinks to 3x3: the body in steps of 2, and ceil(7 / 3) = 3 is the projection's stride;
    # unit 2 sees pixels 4 and 5 here and pixel 6 there.
    body = "[conv: {out: 2, kernel: 2, stride: 2}]"
    plan = planned(f"layers: [residual: {{body: {body}}}]", shape=(1, 7, 7))
    assert dict(plan.walk())["residual1.body.conv1"].receptive_field is not None
    assert plan.body.receptive_field is None


def test_an_auxiliary_head_goes_on_from_what_it_reads(planned: Planned) -> None:
    text = """
layers: [{conv: {out: 2}, as: low}, conv: {out: 2}, global_avg_pool]
aux: [{from: low, layers: [{conv: {out: 2, kernel: 5}, as: more}, global_avg_pool]}]
"""
    found = dict(planned(text).walk())["aux1.more"].receptive_field
    assert found is not None
    assert found.height.size == 3 + 4
