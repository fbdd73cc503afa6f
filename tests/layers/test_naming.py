"""Layers that name another one: tied weights and unpooling, alone and in networks."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from cnntrain.arch.ablation import without
from cnntrain.arch.build import build
from cnntrain.arch.description import Facts, describe
from cnntrain.arch.initialise import initialise, read_init_rules
from cnntrain.arch.network import Network
from cnntrain.arch.plan import Plan
from cnntrain.core.document import parse_document
from cnntrain.core.errors import ConfigError, UsageError
from cnntrain.layers.named import Named
from cnntrain.layers.tied import Tied
from cnntrain.layers.unpool import Unpool
from cnntrain.optim import parameter_groups

Planned = Callable[..., Plan]
LINEAR = """
layers:
  - flatten
  - {linear: {out: 5}, as: encoder1}
  - sigmoid
  - {tied: {to: encoder1}, as: decoder1}
  - linear: {out: $num_classes}
"""
MAPS = """
layers:
  - {conv: {out: 3, kernel: 5, stride: 2}, as: encoder1}
  - relu
  - max_pool
  - tanh
  - unpool: {of: max_pool1}
  - {tied: {to: encoder1}, as: decoder1}
  - flatten
  - linear: {out: $num_classes}
"""


def built(plan: Plan, seed: int = 0) -> Network:
    torch.manual_seed(seed)
    return build(plan)


def as_named(module: nn.Module, *shape: int) -> Named:
    return Named(module, shape, tuple(module(torch.zeros(1, *shape)).shape[1:]))


def test_a_tied_linear_layer_is_the_transpose_with_biases_of_its_own() -> None:
    named = as_named(nn.Linear(7, 4), 7)
    layer = Tied(in_shape=(4,), named=named, to="encoder1")
    assert [(name, p.shape) for name, p in layer.named_parameters()] == [("bias", (7,))]
    assert layer.bias is not None
    layer.bias.data.uniform_()
    h = torch.rand(3, 4)
    weight = named.module.get_parameter("weight")
    torch.testing.assert_close(layer(h), h @ weight + layer.bias)


@pytest.mark.parametrize("size", [9, 10, 11])
@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(2, 6, 3),
        nn.Conv2d(2, 6, 3, stride=2, padding=1, groups=2),
        nn.Conv2d(2, 6, (2, 5), stride=(1, 3), padding=(0, 1), dilation=(3, 1)),
    ],
)
def test_a_tied_convolution_takes_a_gradient_back(conv: nn.Conv2d, size: int) -> None:
    # <W x, h> = <x, W^T h>: the transpose of a linear map is what its gradient goes through.
    image = torch.randn(2, 2, size, size).requires_grad_()
    maps = conv(image)
    layer = Tied(in_shape=maps.shape[1:], named=as_named(conv, 2, size, size), to="c", bias=False)
    back = torch.randn_like(maps)
    (maps - conv(torch.zeros_like(image))).backward(back)
    assert image.grad is not None
    torch.testing.assert_close(layer(back), image.grad)


def test_the_gradient_of_a_tied_weight_is_that_of_both_uses(planned: Planned) -> None:
    net = built(planned(LINEAR, shape=(1, 3, 3), classes=2)).double()
    x = torch.rand(4, 1, 3, 3, dtype=torch.float64)
    net(x).square().sum().backward()
    weight = net.get_parameter("encoder1.weight")
    assert weight.grad is not None
    one, other = (weight.detach().clone().requires_grad_() for _ in range(2))
    hidden = torch.sigmoid(x.flatten(1) @ one.T + net.get_parameter("encoder1.bias"))
    decoded = hidden @ other + net.get_parameter("decoder1.bias")
    net.get_submodule("linear2")(decoded).square().sum().backward()
    assert one.grad is not None
    assert other.grad is not None
    torch.testing.assert_close(weight.grad, one.grad + other.grad)


@pytest.mark.parametrize("text", [LINEAR, MAPS])
def test_a_tied_weight_is_stored_counted_and_decayed_once(planned: Planned, text: str) -> None:
    plan = planned(text, shape=(1, 9, 9), classes=2)
    net = built(plan)
    assert "decoder1.weight" not in net.state_dict()
    assert plan.parameters == sum(each.numel() for each in net.state_dict().values())
    [decayed, _] = parameter_groups(net, weight_decay=0.1)
    assert [name for name, _ in decayed["params"]].count("encoder1.weight") == 1
    other = built(plan, seed=1)
    other.load_state_dict(net.state_dict(), strict=True)
    x = torch.rand(2, 1, 9, 9)
    assert torch.equal(net(x), other(x))


def test_a_copy_is_tied_to_its_own_weights(planned: Planned) -> None:
    net = built(planned(LINEAR, shape=(1, 3, 3), classes=2))
    x = torch.rand(2, 1, 3, 3)
    expected = net(x).detach()
    other = copy.deepcopy(net)
    net.get_parameter("encoder1.weight").data.zero_()
    assert torch.equal(other(x), expected)
    other.to(torch.float64)
    assert other(x.double()).dtype is torch.float64


def by_windows(pooled: Tensor, before: Tensor, kernel: int, stride: int, pad: int) -> Tensor:
    """Each value to the first maximum of its window, by loops."""
    result = torch.zeros_like(before)
    images, channels, height, width = before.shape
    for n, c in torch.cartesian_prod(torch.arange(images), torch.arange(channels)).tolist():
        for i, j in torch.cartesian_prod(*map(torch.arange, pooled.shape[2:])).tolist():
            rows = range(max(0, i * stride - pad), min(height, i * stride - pad + kernel))
            columns = range(max(0, j * stride - pad), min(width, j * stride - pad + kernel))
            places = [(p, q) for p in rows for q in columns]
            place = max(places, key=lambda at: before[n, c, at[0], at[1]].item())
            result[n, c, place[0], place[1]] += pooled[n, c, i, j]
    return result


@pytest.mark.parametrize(("kernel", "stride", "pad", "ceil"), [(2, 2, 0, False), (3, 2, 1, True)])
def test_unpooling_puts_values_where_the_maxima_were(
    kernel: int, stride: int, pad: int, ceil: bool
) -> None:
    pool = nn.MaxPool2d(kernel, stride, pad, ceil_mode=ceil)
    before = torch.randn(2, 3, 7, 6)
    values = torch.randn(pool(before).shape)
    layer = Unpool(in_shape=values.shape[1:], named=as_named(pool, 3, 7, 6), of="max_pool1")
    torch.testing.assert_close(
        layer(values, before), by_windows(values, before, kernel, stride, pad)
    )


def test_unpooling_is_torchs_where_windows_do_not_overlap() -> None:
    pool = nn.MaxPool2d(2)
    before = torch.randn(2, 3, 8, 6)
    _, switches = functional.max_pool2d_with_indices(before, (2, 2))
    values = torch.randn(2, 3, 4, 3)
    layer = Unpool(in_shape=(3, 4, 3), named=as_named(pool, 3, 8, 6), of="max_pool1")
    assert torch.equal(layer(values, before), functional.max_unpool2d(values, switches, (2, 2)))


def test_a_network_unpools_with_the_switches_of_the_same_images(planned: Planned) -> None:
    plan = planned(MAPS, shape=(1, 13, 13), classes=2)
    assert plan.body.nodes[4].node.sources == ("tanh1", "relu1")
    assert [node.out_shape for node in plan.body.nodes[:6]] == [
        *((3, 5, 5), (3, 5, 5), (3, 2, 2), (3, 2, 2), (3, 5, 5), (1, 13, 13))
    ]
    net = built(plan)
    x = torch.rand(4, 1, 13, 13)
    maps = torch.relu(net.get_submodule("encoder1")(x))
    pooled, switches = functional.max_pool2d_with_indices(maps, (2, 2))
    back = functional.max_unpool2d(pooled.tanh(), switches, (2, 2), output_size=maps.shape[2:])
    weight, bias = net.get_parameter("encoder1.weight"), net.get_parameter("decoder1.bias")
    image = functional.conv_transpose2d(back, weight, bias, stride=2)
    torch.testing.assert_close(net(x), net.get_submodule("linear1")(image.flatten(1)))


@pytest.mark.parametrize(
    ("layers", "place", "message"),
    [
        ("flatten, {tied: {to: linear1}}", "1:31", "no layer above .*called so; "),
        ("flatten, {linear: {out: 4}, as: code}, {tied: {to: cod}}", "1:61", "mean 'code'"),
        ("max_pool, {unpool: {of: max_pool1}, repeat: 2}", "1:20", "'max_pool1' gives"),
        ("relu, flatten, {tied: {to: relu1}}", "1:25", "neither a linear nor a conv"),
        ("relu, {unpool: {of: relu1}}", "1:16", "'relu1' is not a max_pool"),
        ("flatten, {linear: {out: 4}}, {linear: {out: 3}}, {tied: {to: linear1}}", "1:", "gives"),
        ("max_pool, max_pool, {unpool: {of: max_pool1}}", "1:30", "has one switch"),
        ("{conv: {out: 2, padding: circular}}, {tied: {to: conv1}}", "1:", "circular padding"),
        ("{sequence: {layers: [max_pool]}, as: a}, {unpool: {of: max_pool1}}", "1:", "no layer"),
        ("{conv: {out: 3}, as: a, repeat: 2}, {tied: {to: a}}", "1:", "not one layer, but several"),
        ("{conv: {out: 2}}, {tied: {}}", "1:", "'to' is missing"),
        ("{conv: {out: 2}}, {tied: {to: conv1, named: 3}}", "1:", "'named' of 'tied' follows from"),
    ],
)
def test_what_cannot_be_named_is_said_at_its_line(
    planned: Planned, layers: str, place: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        planned(f"layers: [{layers}]", shape=(1, 8, 8), classes=2)
    assert f"net.yaml:{place}" in str(caught.value)


def test_a_named_convolution_says_its_padding_in_numbers() -> None:
    """As one of a plugin may not."""
    named = Named(nn.Conv2d(1, 2, 3, padding="same"), (1, 8, 8), (2, 8, 8))
    with pytest.raises(ValueError, match="'conv1' has its padding in words; give it as numbers"):
        Tied(in_shape=(2, 8, 8), named=named, to="conv1")


def test_the_layer_that_is_named_cannot_be_left_out_alone() -> None:
    document = parse_document(LINEAR, name="net.yaml")
    nodes = describe(document, facts=Facts(2, 1, 3, 3)).nodes
    with pytest.raises(UsageError, match=r"'decoder1' \(tied\) uses 'encoder1', which would be"):
        without(document.data, nodes, ["encoder1"])
    left = without(document.data, nodes, ["encoder1", "decoder1"])
    assert left.removed == ("encoder1", "sigmoid1", "decoder1")
    document = parse_document(MAPS, name="net.yaml")
    nodes = describe(document, facts=Facts(2, 1, 13, 13)).nodes
    section = without(document.data, nodes, ["tanh1"]).section
    assert section["layers"][3] == {"unpool": {"of": "max_pool1"}, "as": "unpool1"}


def test_rules_of_initialisation_reach_its_biases_and_no_weight(planned: Planned) -> None:
    text = LINEAR + "init:\n  - {layers: tied, bias: 0.5}\n"
    plan = planned(text, shape=(1, 3, 3), classes=2)
    net = built(plan)
    kinds = dict(net.operations)
    assert torch.equal(net.get_parameter("decoder1.bias"), torch.zeros(9))
    initialise(net, read_init_rules(plan.description), kinds=kinds)
    assert torch.equal(net.get_parameter("decoder1.bias"), torch.full((9,), 0.5))
    wrong = planned(text.replace("bias: 0.5", "weight: 0.5"), shape=(1, 3, 3), classes=2)
    with pytest.raises(ValueError, match="gives a weight, but decoder1 has none of its own"):
        initialise(net, read_init_rules(wrong.description), kinds=kinds)
