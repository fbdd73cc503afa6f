"""`gradients`: planted errors are named with their layer, and healthy networks are left alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cnntrain.arch.build import build
from cnntrain.arch.description import describe, usual_facts
from cnntrain.arch.initialise import initialise, read_init_rules
from cnntrain.arch.planner import make_plan
from cnntrain.config import shipped
from cnntrain.core.document import read_document
from cnntrain.data.batch import Batch
from cnntrain.diagnose.checks.gradients import check_gradients
from cnntrain.diagnose.differences import compare
from cnntrain.diagnose.jacobians import wrong_layers
from cnntrain.diagnose.report import Report
from cnntrain.tasks.losses.cross_entropy import CrossEntropy

Make = Callable[..., Any]
Check = Callable[[nn.Module], Report]

SMALL = [
    *("softmax_regression", "lenet300", "lenet1", "lenet5", "lenet5_1998", "digits", "maxout"),
    *("lcn_net", "locally_connected", "multi_scale", "neocognitron"),
]


def faults(report: Report) -> list[str]:
    return [finding.fault for finding in report.findings]


@pytest.fixture
def check(method: Make, many: Batch) -> Callable[[nn.Module], Report]:
    batch = Batch(many.images[:32], many.targets[:32])

    def examine(net: nn.Module) -> Report:
        return check_gradients(trained=net, small_batch=batch, method=method())

    return examine


def test_a_healthy_network(check: Check, convnet: Make) -> None:
    net = convnet()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    report = check(net)
    assert report.verdict == "fine"
    assert report.numbers["largest_error"] < 1e-5
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())


@pytest.mark.parametrize("name", SMALL)
def test_shipped_architectures_agree(name: str) -> None:
    folder = shipped.folder()
    assert folder is not None
    document = read_document(folder / "archs" / f"{name}.yaml")
    plan = make_plan(describe(document, facts=usual_facts(document)))
    net = build(plan)
    initialise(net, read_init_rules(plan.description), kinds=net.operations)
    images = torch.randn(4, *plan.body.in_shape)
    batch = Batch(images, torch.arange(4) % plan.body.out_shape[0])
    found = compare(net, batch, criterion=CrossEntropy(), weights=24)
    assert not isinstance(found, str)
    assert {each.parameter for each in found} <= set(dict(net.named_parameters()))
    assert max(each.error for each in found) < 1e-4


def test_a_backward_pass_with_a_wrong_sign_is_named(
    check: Check, convnet: Make, twist: Make
) -> None:
    report = check(convnet(act2=twist()))
    assert faults(report)[0] == "wrong_gradient"
    assert "'act2' (Twist)" in report.findings[0].headline


class HalfBias(nn.Linear):
    """A linear layer whose bias gets half of its gradient."""

    def forward(self, x: Tensor) -> Tensor:
        bias = 0.5 * self.bias + 0.5 * self.bias.detach()
        return nn.functional.linear(x, self.weight, bias)


def test_a_wrong_derivative_of_one_parameter_is_named(check: Check, convnet: Make) -> None:
    report = check(convnet(fc1=HalfBias(96, 16)))
    assert faults(report) == ["wrong_gradient"]
    assert "'fc1' (HalfBias)" in report.findings[0].headline
    wrong = [row[0] for row in report.tables[0].rows if row[3]]
    assert wrong == ["fc1.bias"]


@pytest.mark.parametrize(("has_gradient", "is_random"), [(False, False), (True, True)])
def test_what_a_layer_of_ones_own_does_in_training_only_is_checked(
    check: Check, convnet: Make, has_gradient: bool, is_random: bool
) -> None:
    """The mean of the batch depends on what it is taken of; chance is no mistake."""

    class Centred(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if not self.training:
                return x
            with torch.set_grad_enabled(has_gradient):
                mean = x.mean((0, 2, 3), keepdim=True)
            return (x - mean) * (1 + is_random * torch.rand_like(x))

    report = check(convnet(norm1=Centred()))
    assert faults(report) == ([] if has_gradient else ["wrong_gradient"])
    assert has_gradient or "the backward pass is wrong in 'norm1' (Centred)" in report.headline


def test_inside_a_layer_with_layers_the_innermost_is_named(
    convnet: Make, twist: Make, many: Batch
) -> None:
    inner = nn.Sequential(nn.ReLU(), twist())
    net = convnet(act2=inner).double()
    found = wrong_layers(net, many.images[:8].double())
    assert [layer.name for layer in found] == ["act2.1"]
    assert math.isclose(found[0].backward, -found[0].numeric, rel_tol=1e-4)


class Levels(nn.Module):
    """Pixels as whole numbers, which an embedding reads."""

    def forward(self, x: Tensor) -> Tensor:
        return (x.clamp(0, 1) * 7).long().flatten(1)


class HalfEmbedding(nn.Embedding):
    """Its weights get half of their gradient."""

    def forward(self, x: Tensor) -> Tensor:
        weight = 0.5 * self.weight + 0.5 * self.weight.detach()
        return nn.functional.embedding(x, weight)


@pytest.mark.parametrize(("kind", "guilty"), [(nn.Embedding, []), (HalfEmbedding, ["1"])])
def test_inputs_that_are_whole_numbers(kind: Make, guilty: list[str], many: Batch) -> None:
    net = nn.Sequential(Levels(), kind(8, 3), nn.Flatten(), nn.Linear(192, 4)).double()
    assert [layer.name for layer in wrong_layers(net, many.images[:8].double())] == guilty


def test_pooling_of_equal_values_is_no_error(many: Batch) -> None:
    images = many.images[:8].double().clamp_min(0)  # half of the pixels are exactly 0
    net = nn.Sequential(nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 4)).double()
    assert wrong_layers(net, images) == []


def test_zero_biases_on_black_images_are_no_error(convnet: Make, method: Make) -> None:
    net = convnet(norm1=nn.Identity())
    nn.init.zeros_(net.get_submodule("conv1").bias)  # black patches stand on the rectifier's kink
    images = torch.zeros(8, 1, 8, 8)
    images[:, :, :3, :3] = torch.rand(8, 1, 3, 3)
    batch = Batch(images, torch.arange(8) % 4)
    assert check_gradients(trained=net, small_batch=batch, method=method()).verdict == "fine"


def deep(activation: type[nn.Module], *, depth: int = 10) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Flatten(), nn.Linear(64, 32)]
    for _ in range(depth):
        layers += [activation(), nn.Linear(32, 32)]
    return nn.Sequential(*layers, activation(), nn.Linear(32, 4))


def test_deep_sigmoids_lose_the_gradient(check: Check) -> None:
    report = check(deep(nn.Sigmoid))
    assert faults(report) == ["vanishing_gradients"]
    assert "'1'" in report.findings[0].headline
    assert "relu" in report.findings[0].remedy
    assert "vanishing_activations" not in report.findings[0].follows


def test_small_weights_lose_it_as_an_effect(check: Check) -> None:
    """A tanh of small values is the identity: what is lost is lost by the weights."""
    net = deep(nn.Tanh)
    for module in net.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
    (finding,) = check(net).findings
    assert finding.fault == "vanishing_gradients"
    assert "vanishing_activations" in finding.follows
    assert "larger weights" in finding.remedy


def test_deep_rectifiers_with_kaiming_keep_it(check: Check) -> None:
    net = deep(nn.ReLU)
    for module in net.modules():
        if isinstance(module, nn.Linear):
            nn.init.kaiming_normal_(module.weight)
    assert check(net).verdict == "fine"


def test_large_weights_make_it_explode(check: Check) -> None:
    net = deep(nn.ReLU, depth=8)
    for module in net.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=2.0)
    assert "exploding_gradients" in faults(check(net))


def test_the_first_steps_updates_are_measured(method: Make, many: Batch) -> None:
    """One plain SGD step of a linear layer moves its weights by exactly rate times gradient."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 4))
    batch = Batch(many.images[:32], many.targets[:32])
    report = check_gradients(trained=net, small_batch=batch, method=method(lr=1e-6, momentum=0.0))
    [row] = report.tables[1].rows
    weights, gradient, ratio = row[2], row[3], row[5]
    assert math.isclose(ratio, 1e-6 * gradient / weights, rel_tol=1e-2)


class Float32(nn.Module):
    """A layer of a user's that knows one type only."""

    def forward(self, x: Tensor) -> Tensor:
        return x @ torch.eye(x.shape[1])


def test_a_layer_without_float64_is_told(check: Check, convnet: Make) -> None:
    report = check(convnet(act2=Float32()))
    assert report.verdict == "fine"
    assert "float64" in report.headline
    assert report.numbers["weights_compared"] == 0
