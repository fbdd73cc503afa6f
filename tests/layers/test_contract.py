"""What every registered layer must hold; a new layer needs one line in EXAMPLES."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from cnntrain.core.kinds import Size
from cnntrain.layers import LAYERS
from cnntrain.layers.named import Named

MAPS = (4, 6, 6)
FLAT = (6,)


@dataclass(frozen=True)
class Example:
    """A layer with parameters as YAML gives them, and its inputs' shapes without N."""

    name: str
    shape: tuple[int, ...] = MAPS
    values: dict[str, Any] = field(default_factory=dict)
    nested: Callable[[], dict[str, Any]] = dict
    inputs: tuple[tuple[int, ...], ...] = ()
    is_random: bool = False
    named: Callable[[], nn.Module] | None = None

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        return self.inputs or (self.shape,)

    def __str__(self) -> str:
        return "-".join([self.name, *map(str, self.values.values())]).replace(" ", "")


def nest(*modules: nn.Module, shape: tuple[int, ...] = MAPS) -> nn.Module:
    """A nested list of layers as the planner hands it over."""
    net = nn.Sequential(*modules)
    with torch.no_grad():
        out = net(torch.zeros(2, *shape)).shape[1:]
    for name, value in (("in_shape", shape), ("out_shape", tuple(out))):
        object.__setattr__(net, name, value)
    return net


def small_conv(out: int, stride: Size = 1) -> nn.Module:
    return nn.Conv2d(4, out, 3, stride=stride, padding=1)


EXAMPLES = [
    Example("conv", values={"out": 6}),
    Example("whiten", values={"kernel": [2, 1]}),
    Example("conv", values={"out": 6, "kernel": [3, 1], "stride": 2, "padding": "same"}),
    Example("conv", values={"out": 8, "groups": 2, "bias": False, "padding": [2, 0]}),
    Example("conv", values={"out": 3, "dilation": 2, "padding": "same"}),
    Example("conv", values={"out": 3, "padding": "circular"}),
    Example("conv_transpose", values={"out": 6}),
    Example("conv_transpose", values={"out": 2, "stride": 2, "padding": "same", "groups": 2}),
    Example("conv_transpose", values={"out": 3, "kernel": [4, 3], "stride": [2, 3], "padding": 1}),
    Example("upsample"),
    Example("upsample", values={"factor": [3, 1], "mode": "bilinear"}),
    Example("upsample", values={"size": [7, 11], "mode": "bilinear"}),
    Example("linear", FLAT, {"out": 5}),
    Example("linear", FLAT, {"out": 5, "bias": False}),
    Example("max_pool"),
    Example("max_pool", values={"kernel": 3, "stride": 2, "padding": 1, "ceil": True}),
    Example("avg_pool"),
    Example("avg_pool", values={"kernel": 3, "stride": 2, "padding": 1, "count_padding": False}),
    Example("global_avg_pool"),
    Example("global_max_pool"),
    Example("adaptive_avg_pool", values={"out": [4, 2]}),
    Example("relu"),
    Example("relu6"),
    Example("silu"),
    Example("hard_swish"),
    Example("hard_sigmoid"),
    Example("leaky_relu", values={"slope": 0.2}),
    Example("prelu"),
    Example("prelu", FLAT, {"per_channel": False}),
    Example("elu"),
    Example("gelu"),
    Example("softplus", values={"beta": 2}),
    Example("sigmoid"),
    Example("tanh"),
    Example("softmax"),
    Example("identity"),
    Example("dropout", is_random=True),
    Example("dropout2d", values={"p": 0.25}, is_random=True),
    Example("gaussian_noise", is_random=True),
    Example("masking_noise", FLAT, is_random=True),
    Example("flatten"),
    Example("unflatten", (12,), {"shape": [3, 2, 2]}),
    Example("unpool", values={"of": "pool"}, named=lambda: nn.MaxPool2d(2)),
    Example("unpool", values={"of": "pool"}, named=lambda: nn.MaxPool2d(3, 2, 1, ceil_mode=True)),
    Example("tied", FLAT, {"to": "encoder"}, named=lambda: nn.Linear(6, 4)),
    Example("tied", values={"to": "encoder"}, named=lambda: small_conv(5, 2)),
    Example("tied", values={"to": "encoder", "bias": False}, named=lambda: small_conv(3)),
    Example("batch_norm"),
    Example("batch_norm", FLAT, {"momentum": None, "affine": False}),
    Example("local_response_norm", values={"alpha": 0.1}),
    Example("lcn", values={"kernel": 3}),
    Example("lcn", (1, 9, 7), {"kernel": 5, "floor": 0.5}),
    Example("lcn", values={"kernel": 3, "across_maps": False}),
    Example("residual", nested=lambda: {"body": nest(small_conv(4))}),
    Example("residual", nested=lambda: {"body": nest(small_conv(6, 2))}),
    Example("residual", values={"project": False}, nested=lambda: {"body": nest(small_conv(6, 2))}),
    Example(
        "residual",
        nested=lambda: {"body": nest(small_conv(5)), "shortcut": nest(nn.Conv2d(4, 5, 1))},
    ),
    Example("zero_pad_shortcut", values={"out": 7, "stride": 2}),
    Example(
        "branches",
        nested=lambda: {"paths": {"one": nest(small_conv(2)), "two": nest(nn.MaxPool2d(3, 1, 1))}},
    ),
    Example(
        "branches",
        values={"merge": "add"},
        nested=lambda: {"paths": {"one": nest(small_conv(4)), "two": nest(nn.Identity())}},
    ),
    Example("dense_connection", nested=lambda: {"body": nest(small_conv(2))}),
    Example("channel_slice", values={"start": 1, "stop": 3}),
    Example("channel_slice", FLAT, {"start": 2}),
    Example("channel_shuffle", values={"groups": 2}),
    Example("with_target", inputs=(FLAT, FLAT)),
    Example("concat", inputs=((4, 6, 6), (2, 6, 6), (1, 6, 6))),
    Example("add", inputs=(MAPS, MAPS, MAPS)),
    Example("outputs", inputs=(MAPS, (2, 6, 6), (1, 3, 2))),
    Example("sequence", nested=lambda: {"layers": nest(small_conv(2), nn.ReLU())}),
    Example("abs"),
    Example("gain"),
    Example("gain", FLAT),
    Example("scaled_tanh"),
    Example("maxout"),
    Example("maxout", FLAT, {"pieces": 3}),
    Example("lp_pool", values={"p": 3, "kernel": 3, "stride": 2, "padding": 1}),
    Example("lp_pool", values={"p": 1}),
    Example("lp_pool", values={"p": 5.5, "kernel": [3, 2], "stride": 2, "padding": 1}),
    Example("l2_pool"),
    Example("divisive_norm", values={"kernel": 3}),
    Example("divisive_norm", values={"kernel": [1, 5], "maps": 3, "epsilon": 0.1}),
    Example("subsampling"),
    Example("subsampling", values={"kernel": [3, 2], "stride": 1}),
    Example("local", (2, 5, 5), {"out": 3}),
    Example("local", (2, 5, 5), {"out": 2, "kernel": [3, 2], "stride": 2, "padding": 1}),
    Example("local", (2, 5, 5), {"out": 2, "kernel": 5, "bias": False}),
    Example("sparse_conv", values={"table": [[0, 2], [3], [1, 0]], "kernel": 3, "padding": 1}),
    Example("sparse_conv", (6, 3, 3), {"table": "lenet5", "kernel": 2, "bias": False}),
    Example("rbf_output", FLAT, {"out": 5}),
    Example("rbf_output", FLAT, {"out": 5, "codes": "trained", "seed": 1}),
    Example("group_norm", values={"groups": 2}),
    Example("group_norm", FLAT, {"groups": 3, "affine": False}),
    Example("layer_norm"),
    Example("layer_norm", FLAT, {"epsilon": 1e-3}),
    Example("layer_scale"),
    Example("layer_scale", FLAT, {"initial": 0.1}),
    Example("pointwise", values={"out": 5}),
    Example("squeeze_excite", values={"reduction": 2}),
    Example("squeeze_excite", values={"reduction": 4, "bias": False}),
    Example("squeeze_excite", values={"squeeze": 3, "activation": "silu", "gate": "hard_sigmoid"}),
    Example("dropconnect", FLAT, {"out": 5}, is_random=True),
    Example("dropconnect", FLAT, {"out": 5, "per": "batch", "bias": False}, is_random=True),
    Example("stochastic_depth", is_random=True),
    Example("stochastic_depth", FLAT, {"p": 0.2, "per": "image"}, is_random=True),
    Example("s_cell", values={"out": 3, "kernel": 3}),
    Example("s_cell", values={"out": 2, "kernel": [2, 3], "stride": 2, "padding": 1}),
    Example("c_cell", values={"kernel": 3, "stride": 2, "padding": 1}),
    Example("c_cell", values={"kernel": 2, "saturation": 0.5, "inhibition": False}),
]
every_example = pytest.mark.parametrize("example", EXAMPLES, ids=str)


class OneInput(nn.Module):
    """A net in which the layer reads one input."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.layer(x)
        return result


class BehindNamed(nn.Module):
    """A net in which the layer stands behind the one that it names."""

    def __init__(self, layer: nn.Module, named: nn.Module, *, reads_named: bool) -> None:
        super().__init__()
        self.named = named
        self.layer = layer
        self.reads_named = reads_named

    def forward(self, x: Tensor) -> Tensor:
        inner = self.named(x)
        result: Tensor = self.layer(inner, x) if self.reads_named else self.layer(inner)
        return result


class TwoInputs(nn.Module):
    """A net in which the layer joins two inputs."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        result: Tensor = self.layer(x, y)
        return result


class ThreeInputs(nn.Module):
    """A net in which the layer joins three inputs."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        result: Tensor = self.layer(x, y, z)
        return result


def build(example: Example) -> nn.Module:
    torch.manual_seed(0)
    entry = LAYERS.entry(example.name)
    nested = example.nested()
    keywords, complaints = entry.check({**example.values, **nested})
    assert not complaints
    many = entry.options.get("inputs") == "many"
    named = example.named and example.named()
    shape = example.shape
    if named is not None:
        shape = tuple(named(torch.zeros(1, *shape)).shape[1:])
    filled = {
        "in_shape": example.shapes if many else shape,
        "named": named and Named(named, example.shape, shape),
        "in_channels": example.shape[0],
        "in_features": example.shape[0],
    }
    given = {key: filled[key] for key in entry.filled}
    module: nn.Module = LAYERS.load(example.name)(**keywords, **given)
    if named is None:
        return module
    return BehindNamed(module, named, reads_named=bool(entry.options.get("reads_named")))


def draw(example: Example, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(3, *s, generator=generator, dtype=dtype) for s in example.shapes]


def test_every_registered_layer_has_an_example() -> None:
    assert {example.name for example in EXAMPLES} == set(LAYERS.names())


def test_every_layer_and_parameter_is_described() -> None:
    for entry in LAYERS.entries():
        assert "Shape:" in entry.doc, entry.name
        assert entry.summary.endswith("."), entry.name
        for parameter in entry.parameters:
            assert parameter.description, f"{entry.name}.{parameter.name}"


@every_example
def test_meta_shape_is_the_real_shape(example: Example) -> None:
    net = build(example).eval()
    real = net(*draw(example))
    meta = net.to("meta")(*[x.to("meta") for x in draw(example)])
    assert meta.shape == real.shape
    assert meta.dtype == real.dtype


@every_example
@torch.no_grad()
def test_what_is_called_affine_is(example: Example) -> None:
    """Of an affine function f(x + y) - f(x) = f(y) - f(0), in evaluation.

    One that "scales" is none, but gives the same for an image and for twice it.
    """
    affine = LAYERS.entry(example.name).options.get("affine")
    assert affine in (None, "plain", "mixes", "scales")
    net = build(example).double().eval()
    one = draw(example, torch.float64)
    if affine == "scales":
        torch.testing.assert_close(net(*[2 * x for x in one]), net(*one), atol=1e-2, rtol=1e-2)
        affine = None
    other = [x.flip(0) + 0.5 for x in one]
    given = ([x + y for x, y in zip(one, other, strict=True)], one, other, [0 * x for x in one])
    both, first, second, zero = (net(*inputs) for inputs in given)
    is_affine = torch.allclose(both - first, second - zero)
    inside = (
        [type(module).__name__ for module in net.modules()] if example.nested is not dict else []
    )
    assert is_affine == (affine is not None and not {"MaxPool2d", "ReLU"} & {*inside})


@every_example
def test_gradients_are_finite(example: Example) -> None:
    net = build(example).train()
    for inputs in (draw(example), [torch.zeros_like(x) for x in draw(example)]):
        leaves = [x.requires_grad_() for x in inputs]
        net(*leaves).square().sum().backward()
        for tensor in [*leaves, *net.parameters()]:
            assert tensor.grad is not None
            assert tensor.grad.isfinite().all()


@every_example
def test_gradients_match_finite_differences(example: Example) -> None:
    for training in (False,) if example.is_random else (False, True):  # a mask differs each time
        check_gradients(example, build(example).double().train(training))


def check_gradients(example: Example, net: nn.Module) -> None:
    inputs = [x[:2, :, :5, :5] if x.dim() == 4 else x for x in draw(example, torch.float64)]
    names = [name for name, _ in net.named_parameters()]
    parameters = [p.detach().clone().requires_grad_() for p in net.parameters()]

    def call(*tensors: Tensor) -> Tensor:
        given = dict(zip(names, tensors[len(inputs) :], strict=True))
        result: Tensor = functional_call(net, given, tensors[: len(inputs)])
        return result

    leaves = [x.contiguous().requires_grad_() for x in inputs]
    assert torch.autograd.gradcheck(call, (*leaves, *parameters), fast_mode=False)


@every_example
def test_evaluation_is_deterministic_and_leaves_the_state_alone(example: Example) -> None:
    net = build(example).eval()
    inputs = draw(example)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    kept = [x.clone() for x in inputs]
    first = net(*inputs)
    assert torch.equal(first, net(*inputs))
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    assert all(torch.equal(x, y) for x, y in zip(kept, inputs, strict=True))


@every_example
def test_state_dict_round_trip(example: Example) -> None:
    net, inputs = build(example), draw(example)
    net.train()
    net(*inputs)  # moves the running averages
    other = build(example)
    other.load_state_dict(net.state_dict(), strict=True)
    assert torch.equal(net.eval()(*inputs), other.eval()(*inputs))


@every_example
def test_channels_last_gives_the_same(example: Example) -> None:
    net, inputs = build(example).eval(), draw(example)
    expected = net(*inputs)
    last = [x.to(memory_format=torch.channels_last) if x.dim() == 4 else x for x in inputs]
    actual = net.to(memory_format=torch.channels_last)(*last)
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-6)


@every_example
def test_bfloat16_autocast_stays_close(example: Example) -> None:
    net, inputs = build(example).eval(), draw(example)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        actual = net(*inputs)
    # A few roundings to 8 significant bits of values and partial sums around 1.
    torch.testing.assert_close(actual.float(), net(*inputs), rtol=0.05, atol=0.05)


@every_example
def test_torch_fx_traces_it(example: Example) -> None:
    wrap = (OneInput, TwoInputs, ThreeInputs)[len(example.shapes) - 1]
    net, inputs = wrap(build(example)).eval(), draw(example)
    traced = torch.fx.symbolic_trace(net)
    assert torch.equal(traced(*inputs), net(*inputs))


@every_example
def test_it_compiles_as_one_graph(example: Example) -> None:
    torch.compiler.reset()
    net, inputs = build(example).eval(), draw(example)
    compiled = torch.compile(net, fullgraph=True, backend="eager")
    assert torch.equal(compiled(*inputs), net(*inputs))
