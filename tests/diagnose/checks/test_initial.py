"""`initial`: against losses and deviations that are known without running a network."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cnntrain.data.batch import Batch
from cnntrain.diagnose.checks.initial import check_initial
from cnntrain.diagnose.diagnose import conclude
from cnntrain.diagnose.report import Finding, Report
from cnntrain.tasks.criterion import MeanLoss
from cnntrain.tasks.losses.cross_entropy import CrossEntropy
from cnntrain.tasks.losses.mse import mse

Make = Callable[..., Any]


def check(net: nn.Module, batch: Batch, criterion: Any = None) -> Report:
    applies = "" if criterion else "softmax"
    criterion = criterion or CrossEntropy()
    return check_initial(net=net, batch=batch, criterion=criterion, classes=4, applies=applies)


def faults(report: Report) -> list[str]:
    return [finding.fault for finding in report.findings]


def linear(weights: float, bias: float) -> nn.Linear:
    layer = nn.Linear(16, 4)
    nn.init.constant_(layer.weight, weights)
    nn.init.constant_(layer.bias, bias)
    return layer


def test_a_healthy_network_is_fine(convnet: Make, many: Batch) -> None:
    report = check(convnet(), many)
    assert report.verdict == "fine"
    assert report.numbers["ln_classes"] == math.log(4)


def test_outputs_of_zero_have_the_loss_of_guessing(convnet: Make, many: Batch) -> None:
    report = check(convnet(output=linear(0, 0)), many)
    # four equally frequent classes: ln 4; and a last layer of zeros is no fault: it learns
    assert math.isclose(report.numbers["loss"], math.log(4), rel_tol=1e-6)
    assert math.isclose(report.numbers["loss_of_guessing"], math.log(4), rel_tol=1e-6)
    assert report.verdict == "fine"


def test_the_first_loss_of_uneven_classes_is_that_of_outputs_of_zero(
    convnet: Make, many: Batch
) -> None:
    """Guessing knows what is frequent, a network before its first step does not."""
    uneven = Batch(many.images, torch.zeros_like(many.targets))
    report = check(convnet(output=linear(0, 0)), uneven)
    assert report.numbers["loss_of_guessing"] < 0.01
    assert math.isclose(report.numbers["loss"], math.log(4), rel_tol=1e-6)
    assert report.verdict == "fine"


def test_squared_error_guesses_the_shares(convnet: Make, many: Batch) -> None:
    report = check(convnet(output=linear(0, 0)), many, mse())
    # half of |onehot - 1/4|^2 = (9/16 + 3/16) / 2
    assert math.isclose(report.numbers["loss_of_guessing"], 0.375, rel_tol=1e-6)
    assert math.isclose(report.numbers["loss"], 0.5, rel_tol=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.05])
def test_units_that_start_alike(convnet: Make, many: Batch, value: float) -> None:
    net = convnet()
    for parameter in net.parameters():
        nn.init.constant_(parameter, value)
    report = check(net, many)
    assert faults(report)[0] == "zero_initialisation"
    assert "conv1.weight" in report.findings[0].headline


def test_a_branch_that_starts_at_zero_is_no_fault(many: Batch) -> None:
    """Fixup (Zhang et al. 2019) and the like: the gradients of the units differ."""
    branch = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 1))
    nn.init.zeros_(branch[2].weight)

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.branch = branch

        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = x + self.branch(x)
            return result

    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), Residual(), nn.Flatten(), nn.Linear(4 * 64, 4)
    )
    assert check(net, many).verdict == "fine"


def test_outputs_that_are_squashed_already(convnet: Make, many: Batch) -> None:
    report = check(convnet(last=nn.Softmax(dim=1)), many)
    assert faults(report) == ["squashed_outputs"]
    assert "softmax" in report.findings[0].remedy


def test_squared_error_may_have_a_sigmoid(convnet: Make, many: Batch) -> None:
    assert check(convnet(last=nn.Softmax(dim=1)), many, mse()).verdict == "fine"


def test_dead_rectifiers(convnet: Make, many: Batch) -> None:
    net = convnet(norm1=nn.Identity())
    nn.init.constant_(net.get_submodule("fc1").bias, -50.0)
    report = check(net, many)
    assert faults(report)[0] == "dead_units"
    assert "'act2'" in report.findings[0].headline
    assert "100%" in report.findings[0].headline


def test_a_few_dead_units_are_no_fault(convnet: Make, many: Batch) -> None:
    net = convnet()
    with torch.no_grad():
        net.get_submodule("fc1").bias[:5] = -50.0
    report = check(net, many)
    assert report.verdict == "fine"
    dead = {row[0]: row[4] for row in report.tables[0].rows}
    assert dead["act2"] >= 5 / 16


@pytest.mark.parametrize(("dead", "is_fault"), [(8, False), (9, True)])
def test_a_layer_is_dead_from_nine_tenths_of_its_units_on(
    convnet: Make, many: Batch, dead: int, is_fault: bool
) -> None:
    net = convnet(fc1=nn.Linear(96, 10), output=nn.Linear(10, 4))
    with torch.no_grad():
        bias = net.get_submodule("fc1").bias
        bias[:dead], bias[dead:] = -50.0, 50.0
    assert ("dead_units" in faults(check(net, many))) == is_fault


@pytest.mark.parametrize("activation", [nn.Tanh, nn.Sigmoid])
def test_saturated_units(convnet: Make, many: Batch, activation: type[nn.Module]) -> None:
    net = convnet(activation)
    with torch.no_grad():
        net.get_submodule("fc1").weight.mul_(1000)
    report = check(net, many)
    assert "saturated_units" in faults(report)
    healthy = check(convnet(activation), many)
    assert healthy.verdict == "fine"


def stack(std: float) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Flatten()]
    for width in (64, 32, 32, 32, 32, 32):
        layers += [nn.Linear(width, 32), nn.ReLU()]
    net = nn.Sequential(*layers, nn.Linear(32, 4))
    for module in net.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=std)
            nn.init.zeros_(module.bias)
    return net


def test_deviations_along_the_layers(many: Batch) -> None:
    # Of n = 32 inputs, half of them rectified away, a layer keeps std * sqrt(n / 2) of a deviation.
    assert faults(check(stack(0.01), many)) == ["vanishing_activations"]
    found = {each.fault: each for each in check(stack(1e-30), many).findings}  # rounded to 0
    nothing = found["vanishing_activations"]
    assert nothing.headline == "before '13' all images are the same"
    assert "0e+00" not in nothing.evidence
    assert faults(check(stack(math.sqrt(2 / 32)), many)) == []
    assert faults(check(stack(5.0), many))[0] == "exploding_activations"


class Times(nn.Module):
    """Multiplies."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x


@pytest.mark.parametrize(
    ("layer", "fault", "words", "verdict"),
    [
        (Times(0.0), "vanishing_activations", "'3' makes all images the same", "fault"),
        (Times(1000.0), "exploding_activations", "'3' makes what it reads 1000 times", "fault"),
        (Times(0.01), "vanishing_activations", "'3' leaves 1.0% of", "suspect"),
    ],
)
def test_one_layer_that_changes_the_signal_is_named(
    many: Batch, layer: nn.Module, fault: str, words: str, verdict: str
) -> None:
    net = nn.Sequential(*stack(math.sqrt(2 / 32)))
    net.insert(3, layer)
    report = check(net, many)
    assert report.verdict == verdict
    assert words in next(each.headline for each in report.findings if each.fault == fault)


class MeanOfBatch(nn.Module):
    """Every image gets what is common to all of them."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(0, keepdim=True).expand_as(x)


def test_images_that_a_layer_mixes_vanish_because_of_that(convnet: Make, many: Batch) -> None:
    report = check(convnet(act1=MeanOfBatch()), many)
    mixed = Report("evaluation", "", (Finding("eval_mode_batch_norm", "they are mixed", "", ""),))
    (found,) = conclude([mixed, report]).findings
    assert found.fault == "eval_mode_batch_norm"
    assert [each.fault for each in found.effects] == ["vanishing_activations"]


@pytest.mark.parametrize(("loss", "verdict"), [(4, "fine"), (12, "suspect"), (40, "fault")])
def test_a_sure_network_is_suspect(convnet: Make, many: Batch, loss: float, verdict: str) -> None:
    """Outputs (0, 0, 0, z) of four equally frequent classes have a loss near 3 z / 4."""
    output = linear(0, 0)
    with torch.no_grad():
        output.bias[3] = loss * 4 / 3
    report = check(convnet(output=output), many)
    assert faults(report) == ([] if verdict == "fine" else ["large_initial_loss"])
    assert report.verdict == verdict
    assert abs(float(report.numbers["loss"]) - loss) < 0.1


def test_a_first_loss_is_not_compared_with_guessing_that_is_free(
    convnet: Make, many: Batch
) -> None:
    """The perceptron's loss: how far the right output is below the largest one."""
    output = linear(0, 0)
    with torch.no_grad():
        output.bias[3] = 40
    hinge = MeanLoss(lambda x, targets: (x - x.gather(1, targets[:, None])).amax(dim=1))
    report = check(convnet(output=output), many, hinge)
    assert report.numbers["loss_of_guessing"] == 0
    assert report.numbers["loss"] == 30  # of four equally frequent classes one is right
    assert faults(report) == []


def test_images_that_are_not_finite(convnet: Make, many: Batch) -> None:
    images = many.images.clone()
    images[3, 0, 0, 0] = math.nan
    assert "not_finite" in faults(check(convnet(), Batch(images, many.targets)))
