"""Initial weights: spreads from the papers' formulas, selection by operation and name."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from cnntrain.arch.init_schemes import (
    Constant,
    Identity,
    Kaiming,
    Lecun,
    Normal,
    Orthogonal,
    Scheme,
    TruncatedNormal,
    Uniform,
    Xavier,
    fans_of,
)
from cnntrain.arch.initialise import InitRule, initialise
from cnntrain.layers.local import Local


def net() -> nn.Module:
    """Fans: conv1 (3 x 25, 64 x 25), conv2 (32 x 9, 64 x 9), fc (128, 200)."""
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(3, 64, 5),
            norm=nn.BatchNorm2d(64),
            conv2=nn.Conv2d(64, 128, 3, groups=2, bias=False),
            relu=nn.ReLU(),
            fc=nn.Linear(128, 200),
        )
    )


KINDS = {"conv1": "conv", "norm": "batch_norm", "conv2": "conv", "relu": "relu", "fc": "linear"}


def with_rules(*rules: InitRule, seed: int = 0) -> nn.Module:
    module = net()
    torch.manual_seed(seed)
    initialise(module, rules, kinds=KINDS)
    return module


def weight(module: nn.Module, name: str) -> Tensor:
    return module.get_parameter(f"{name}.weight").detach()


def test_fans() -> None:
    module = net()
    assert fans_of(module.get_submodule("conv1")) == (75, 1600)
    assert fans_of(module.get_submodule("conv2")) == (64 // 2 * 9, 128 // 2 * 9)
    assert fans_of(module.get_submodule("fc")) == (128, 200)
    assert fans_of(nn.ConvTranspose2d(6, 4, 3, groups=2)) == (3 * 9, 2 * 9)


@pytest.mark.parametrize("groups", [1, 2, 8])
def test_fans_are_torchs_but_for_groups(groups: int) -> None:
    """torch counts outputs of all groups, of which an input reaches those of its own."""
    conv = nn.Conv2d(8, 16, (3, 5), groups=groups)
    fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(conv.weight)
    assert fans_of(conv) == (fan_in, fan_out / groups)


@pytest.mark.parametrize("groups", [1, 4, 64])
def test_fan_out_keeps_the_variance_of_gradients_with_groups(groups: int) -> None:
    # He et al. 2015, equation 14: without a nonlinearity the gradient's variance stays
    conv = nn.Conv2d(64, 64, 3, padding=1, padding_mode="circular", groups=groups, bias=False)
    torch.manual_seed(0)
    rule = InitRule(weight=Kaiming(mode="fan_out", nonlinearity="linear"))
    initialise(conv, [rule], kinds={})
    x = torch.randn(4, 64, 8, 8, requires_grad=True)
    conv(x).backward(torch.randn(4, 64, 8, 8))
    assert x.grad is not None
    # depthwise, 576 weights decide: their mean square errs by sqrt(2 / 576) = 6 %
    assert x.grad.square().mean().item() == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
@pytest.mark.parametrize(
    ("scheme", "std"),
    [
        (Kaiming, lambda fan_in, fan_out: math.sqrt(2 / fan_in)),
        (Xavier, lambda fan_in, fan_out: math.sqrt(2 / (fan_in + fan_out))),
        (Lecun, lambda fan_in, fan_out: math.sqrt(1 / fan_in)),
    ],
)
def test_the_spread_follows_the_fans(
    scheme: Callable[..., Scheme], std: Callable[[int, int], float], distribution: str
) -> None:
    module = with_rules(InitRule(weight=scheme(distribution=distribution)))
    fans = {"conv1": (75, 1600), "conv2": (288, 576), "fc": (128, 200)}
    for name, (fan_in, fan_out) in fans.items():
        values = weight(module, name)
        # 4,800 to 36,864 draws: the estimate's own error is about 1 %.
        assert values.std().item() == pytest.approx(std(fan_in, fan_out), rel=0.04)
        assert abs(values.mean().item()) < 0.05 * values.std().item()
        if distribution == "uniform":
            assert values.abs().max().item() <= math.sqrt(3) * std(fan_in, fan_out)


def test_kaimings_mode_and_nonlinearity() -> None:
    backward = with_rules(InitRule(weight=Kaiming(mode="fan_out")))
    assert weight(backward, "conv1").std().item() == pytest.approx(math.sqrt(2 / 1600), rel=0.04)
    leaky = Kaiming(nonlinearity="leaky_relu", slope=0.5)
    std = math.sqrt(2 / (1 + 0.5**2) / 75)
    assert weight(with_rules(InitRule(weight=leaky)), "conv1").std().item() == pytest.approx(
        std, rel=0.04
    )


def test_kaiming_keeps_the_variance_through_many_layers() -> None:
    # He et al. 2015, equation 10: with std sqrt(2 / fan_in) E[x^2] stays the same through relu.
    layers = [m for _ in range(20) for m in (nn.Linear(256, 256), nn.ReLU())]
    deep = nn.Sequential(*layers)
    torch.manual_seed(0)
    rule = InitRule(weight=Kaiming(), bias=Constant(0.0))
    initialise(deep, [rule], kinds={})
    x = torch.randn(64, 256)
    with torch.no_grad():
        assert 0.3 < (deep(x).square().mean() / x.square().mean()).item() < 3


def test_the_schemes_without_fans() -> None:
    values = weight(with_rules(InitRule(weight=Normal(std=0.3, mean=2.0))), "conv2")
    assert values.mean().item() == pytest.approx(2, abs=0.01)
    assert values.std().item() == pytest.approx(0.3, rel=0.04)
    values = weight(with_rules(InitRule(weight=TruncatedNormal(std=0.3, mean=1.0))), "conv2")
    assert values.sub(1).abs().max().item() <= 0.6
    # Standard deviation of a normal distribution cut at two standard deviations: 0.8796.
    assert values.std().item() == pytest.approx(0.3 * 0.8796, rel=0.02)
    values = weight(with_rules(InitRule(weight=Uniform(low=-1.0, high=3.0))), "conv2")
    assert values.min().item() == pytest.approx(-1, abs=0.01)
    assert values.max().item() == pytest.approx(3, abs=0.01)
    rows = weight(with_rules(InitRule(weight=Orthogonal(gain=2.0))), "conv1").flatten(1)
    torch.testing.assert_close(rows @ rows.T, 4 * torch.eye(64), atol=1e-5, rtol=1e-5)


def test_without_rules_torchs_initial_values_stay() -> None:
    module = net()
    before = {key: value.clone() for key, value in module.state_dict().items()}
    initialise(module, [InitRule(weight=Constant(7.0), names="fc")], kinds=KINDS)
    for key, value in module.state_dict().items():
        expected = torch.full_like(value, 7.0) if key == "fc.weight" else before[key]
        assert torch.equal(value, expected), key


def test_later_rules_win_and_norms_have_to_be_named() -> None:
    module = with_rules(
        InitRule(weight=Constant(1.5), bias=Constant(0.5)),
        InitRule(weight=Constant(2.5), operation="conv"),
        InitRule(bias=Constant(3.5), names="conv?", operation="conv"),
        InitRule(weight=Constant(0.0), operation="batch_norm"),
    )
    state = {key: set(value.flatten().tolist()) for key, value in module.named_parameters()}
    assert state["conv1.weight"] == state["conv2.weight"] == {2.5}
    assert (state["fc.weight"], state["fc.bias"], state["conv1.bias"]) == ({1.5}, {0.5}, {3.5})
    assert (state["norm.weight"], state["norm.bias"]) == ({0}, {0})


def test_factors_are_left_out_of_schemes_for_matrices() -> None:
    module = with_rules(InitRule(weight=Constant(1.0), names="*"), InitRule(weight=Lecun()))
    assert torch.equal(weight(module, "norm"), torch.ones(64))


def test_draws_follow_the_seed_and_not_the_overruled_rules() -> None:
    plain = with_rules(InitRule(weight=Kaiming()))
    overruled = with_rules(InitRule(weight=Normal()), InitRule(weight=Kaiming()))
    other = with_rules(InitRule(weight=Kaiming()), seed=1)
    for name in ("conv1", "conv2", "fc"):
        assert torch.equal(weight(plain, name), weight(overruled, name))
        assert not torch.equal(weight(plain, name), weight(other, name))


def test_inside_a_layer_both_the_torch_type_and_the_layer_select() -> None:
    for operation in ("conv", "residual"):
        projection = nn.Sequential(OrderedDict(conv1=nn.Conv2d(2, 4, 1)))
        outer = nn.Sequential(OrderedDict(residual1=projection))
        rule = InitRule(weight=Constant(2.0), operation=operation)
        initialise(outer, [rule], kinds={"residual1": "residual"})
        assert torch.equal(weight(outer, "residual1.conv1"), torch.full((4, 2, 1, 1), 2.0))


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (
            InitRule(weight=Kaiming(), operation="convv"),
            r"the initialisation rule \(layers: convv\) matches no layer with weights; "
            r"did you mean 'conv'\?",
        ),
        (
            InitRule(weight=Kaiming(), names="conv3"),
            r"\(names: conv3\) matches no layer with weights; did you mean 'conv[12]'\?",
        ),
        (
            InitRule(weight=Kaiming(), operation="relu"),
            "matches no layer with weights; choose from batch_norm, conv, linear",
        ),
        (
            InitRule(weight=Constant(0.0), names="norm"),
            "to set the factors of norm, add `layers: batch_norm`",
        ),
        (
            InitRule(weight=Kaiming(), operation="batch_norm"),
            "gives kaiming, which needs a matrix, to weights that are factors; use constant",
        ),
        (
            InitRule(bias=Xavier(), operation="conv"),
            "gives biases the scheme xavier, which needs a matrix; use constant, normal or uniform",
        ),
        (
            InitRule(bias=Constant(1.0), names="conv2"),
            r"\(names: conv2\) gives a bias, but conv2 has none; remove `bias:`",
        ),
    ],
)
def test_a_rule_that_would_not_be_obeyed_is_refused(rule: InitRule, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        with_rules(rule)


def test_a_layer_states_its_own_fans() -> None:
    """A locally connected unit has in * k * k inputs, however its weights are kept."""
    module = Local(in_shape=(3, 8, 8), out=4, kernel=5)
    assert fans_of(module)[0] == 3 * 5 * 5


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("out", [4, 8, 2])
def test_identity_is_torchs_dirac_and_leaves_further_maps(groups: int, out: int) -> None:
    if out < groups:
        pytest.skip("fewer maps than groups")
    conv = nn.Conv2d(4, out, 3, padding=1, groups=groups, bias=False)
    before = conv.weight.detach().clone()
    initialise(conv, [InitRule(weight=Identity())], kinds={})
    expected = nn.init.dirac_(torch.empty_like(before), groups=groups)
    for number, (ours, theirs) in enumerate(zip(conv.weight, expected, strict=True)):
        # where torch has a map of zeros, the map stays as it was
        assert torch.equal(ours, theirs if theirs.any() else before[number])
    if groups == 1 and out >= 4:
        x = torch.randn(2, 4, 6, 6)
        torch.testing.assert_close(conv(x)[:, :4], x)


def test_identity_of_a_matrix() -> None:
    linear = nn.Linear(3, 5)
    initialise(linear, [InitRule(weight=Identity())], kinds={})
    assert torch.equal(linear.weight[:3], torch.eye(3))
