"""Expected groups: written out by hand for a small network."""

import pytest
from torch import nn

from cnntrain.core.errors import ConfigError
from cnntrain.layers.gain import Gain
from cnntrain.layers.subsampling import Subsampling
from cnntrain.optim import GroupRule, parameter_groups


def make_net() -> nn.Sequential:
    net = nn.Sequential()
    net.add_module("conv1", nn.Conv2d(1, 2, 3))
    net.add_module("norm1", nn.BatchNorm2d(2))
    net.add_module("slope1", nn.PReLU())
    net.add_module("subnormal", nn.Linear(2, 2))  # a name with "norm" in it is not a norm layer
    net.add_module("fc1", nn.Linear(2, 2))
    return net


def told(groups):
    return [
        (group["lr_factor"], group["weight_decay"], [name for name, _ in group["params"]])
        for group in groups
    ]


def test_biases_norms_and_slopes_do_not_decay() -> None:
    assert told(parameter_groups(make_net(), weight_decay=0.5)) == [
        (1.0, 0.5, ["conv1.weight", "subnormal.weight", "fc1.weight"]),
        (
            1.0,
            0.0,
            [
                "conv1.bias",
                "norm1.weight",
                "norm1.bias",
                "slope1.weight",
                "subnormal.bias",
                "fc1.bias",
            ],
        ),
    ]
    [group] = parameter_groups(make_net(), weight_decay=0.5, decay_norm_and_bias=True)
    assert len(group["params"]) == 9
    assert group["weight_decay"] == 0.5


def test_rules_apply_in_order_and_override_what_they_state() -> None:
    rules = [
        GroupRule("*", lr_factor=0.1),
        GroupRule("fc*", weight_decay=0.7),
        GroupRule("fc1.weight", lr_factor=1.0),
    ]
    groups = told(parameter_groups(make_net(), weight_decay=0.5, rules=rules))
    assert (1.0, 0.7, ["fc1.weight"]) in groups
    assert (0.1, 0.5, ["conv1.weight", "subnormal.weight"]) in groups
    assert [names for _, decay, names in groups if "fc1.bias" in names and decay == 0.0]


def test_a_pattern_matches_a_module_with_all_in_it() -> None:
    net = nn.Sequential()
    net.add_module("body", make_net())
    net.add_module("head", nn.Linear(2, 2))
    rules = [GroupRule("body", lr_factor=0.0)]
    frozen = [g for g in parameter_groups(net, rules=rules) if g["lr_factor"] == 0.0]
    assert sum(len(g["params"]) for g in frozen) == 9


def test_untrained_parameters_are_left_out() -> None:
    net = make_net()
    net.conv1.requires_grad_(False)
    names = [name for g in parameter_groups(net) for name, _ in g["params"]]
    assert not [name for name in names if name.startswith("conv1")]


def test_a_layer_tells_which_of_its_parameters_are_scales() -> None:
    # LeNet-1's subsampling and Jarrett's gain: one factor for each map
    net = nn.Sequential(
        Subsampling(in_shape=(2, 4, 4)), Gain(in_shape=(2, 2, 2)), nn.Conv2d(2, 2, 1)
    )
    decayed, rest = parameter_groups(net, weight_decay=0.5)[::-1]
    assert [name for name, _ in decayed["params"]] == ["2.weight"]
    assert [name for name, _ in rest["params"]] == ["0.weight", "0.bias", "1.weight", "2.bias"]
    assert (decayed["weight_decay"], rest["weight_decay"]) == (0.5, 0.0)


def test_rates_multiply_the_factors_of_the_rules() -> None:
    rates = {"conv1.weight": 0.5, "fc1.weight": 0.25}
    rules = [GroupRule("fc*", lr_factor=0.1)]
    groups = parameter_groups(make_net(), rules=rules, rates=rates)
    found = {name: group["lr_factor"] for group in groups for name, _ in group["params"]}
    assert found["conv1.weight"] == 0.5
    assert found["conv1.bias"] == 1.0
    assert found["fc1.weight"] == 0.025
    assert found["fc1.bias"] == 0.1


def test_anchored_weights_do_not_decay_to_zero() -> None:
    anchored = {"conv1.weight", "conv1.bias", "norm1.weight", "subnormal.weight"}
    rules = [GroupRule("subnormal", weight_decay=0.25)]
    groups = parameter_groups(make_net(), weight_decay=0.5, anchored=anchored, rules=rules)
    found = {
        name: (group["anchored"], group["weight_decay"])
        for group in groups
        for name, _ in group["params"]
    }
    assert found["conv1.weight"] == (True, 0.0)
    assert found["fc1.weight"] == (False, 0.5)
    assert found["subnormal.weight"] == (True, 0.25)  # a rule is obeyed besides
    for exempt in ("conv1.bias", "norm1.weight", "fc1.bias"):
        assert found[exempt] == (False, 0.0)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (
            GroupRule("fc2", lr_factor=0.1),
            "the group pattern 'fc2' matches no parameter; did you mean 'fc1'?",
        ),
        (
            GroupRule("zzz"),
            "the group pattern 'zzz' matches no parameter; "
            "modules are conv1, norm1, slope1, subnormal, fc1",
        ),
        (
            GroupRule("norm*", weight_decay=0.1),
            "the weight decay of the group 'norm*' would reach nothing: all that it matches are "
            "biases, norm layers or PReLU slopes; set decay_norm_and_bias: true, or remove "
            "weight_decay there",
        ),
    ],
)
def test_a_rule_without_effect_is_an_error(rule: GroupRule, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parameter_groups(make_net(), rules=[rule])
    assert str(caught.value) == message


def test_a_rule_for_what_stands_still_is_an_error() -> None:
    net = make_net()
    net.conv1.requires_grad_(False)
    with pytest.raises(ConfigError, match=r"the group 'conv\*' has no effect: .* is frozen"):
        parameter_groups(net, rules=[GroupRule("conv*", lr_factor=0.1)])
