"""`connections`: frozen, cut off, dead, and connected layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from cnntrain.data.batch import Batch
from cnntrain.diagnose.checks.connections import check_connections
from cnntrain.diagnose.report import Report
from cnntrain.optim import GroupRule, parameter_groups
from cnntrain.optim.optimizers.sgd import sgd
from cnntrain.tasks.losses.cross_entropy import CrossEntropy
from cnntrain.train import Recipe
from cnntrain.train.briefly import Method

Make = Callable[..., Any]


class Cut(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.detach()


class InAList(nn.Module):
    """A layer that computes, and whose weights nobody knows."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = [nn.Conv2d(6, 6, 3, padding=1)]

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.hidden[0](x)
        return found


def faults(report: Report) -> list[str]:
    return [finding.fault for finding in report.findings]


def test_all_layers_learn(convnet: Make, method: Make, batches: list[Batch]) -> None:
    net = convnet()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    report = check_connections(net=net, batches=batches[:4], bare=method())
    assert report.verdict == "fine"
    assert report.numbers == {"layers": 4, "frozen": 0}
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_a_last_layer_of_zeros_lets_the_gradient_through_later(
    convnet: Make, method: Make, batches: list[Batch]
) -> None:
    net = convnet()
    nn.init.zeros_(net.get_submodule("output").weight)
    assert check_connections(net=net, batches=batches[:4], bare=method()).verdict == "fine"
    assert faults(check_connections(net=net, batches=batches[:1], bare=method())) == ["no_gradient"]


def test_a_frozen_layer_with_random_weights(
    convnet: Make, method: Make, batches: list[Batch]
) -> None:
    net = convnet()
    net.get_submodule("conv1").requires_grad_(False)
    report = check_connections(net=net, batches=batches[:4], bare=method())
    assert faults(report) == ["frozen_layer"]
    assert "'conv1'" in report.findings[0].headline
    again = check_connections(net=net, batches=batches[:4], bare=method(), is_pretrained=True)
    assert again.verdict == "fine"


def test_a_learning_rate_of_zero_freezes_too(convnet: Make, batches: list[Batch]) -> None:
    rules = [GroupRule(names="fc1", lr_factor=0.0)]
    resting = Method(
        lambda net: sgd(groups=parameter_groups(net, rules=rules), momentum=0.9),
        CrossEntropy(),
        Recipe(epochs=1, lr=0.1, norm_every=0),
    )
    report = check_connections(net=convnet(), batches=batches[:4], bare=resting)
    assert faults(report) == ["frozen_layer"]
    assert "'fc1'" in report.findings[0].headline


def test_layers_before_a_detach(convnet: Make, method: Make, batches: list[Batch]) -> None:
    report = check_connections(net=convnet(act1=Cut()), batches=batches[:4], bare=method())
    assert faults(report) == ["detached_layer"]
    (found,) = report.findings
    assert "'conv1', 'norm1'" in found.headline
    assert (found.layers, found.remedy[-10:]) == (("act1",), " in 'act1'")


def test_dead_rectifiers_leave_a_gradient_of_zero(
    convnet: Make, method: Make, batches: list[Batch]
) -> None:
    net = convnet()
    nn.init.constant_(net.get_submodule("fc1").bias, -100.0)
    report = check_connections(net=net, batches=batches[:4], bare=method())
    assert faults(report) == ["no_gradient"]
    assert [row[3] for row in report.tables[0].rows] == ["zero", "zero", "zero", "yes"]


def test_weights_that_are_not_registered(convnet: Make, method: Make, batches: list[Batch]) -> None:
    net = convnet(act1=InAList())
    report = check_connections(net=net, batches=batches[:4], bare=method())
    (finding,) = report.findings
    assert finding.fault == "frozen_layer"
    assert finding.layers == ("act1",)
    assert "330 weights of 'act1'" in finding.headline  # 6 x 6 x 9 and 6 biases


def test_weights_that_are_made_in_forward(
    convnet: Make, method: Make, batches: list[Batch]
) -> None:
    class Made(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = nn.Conv2d(6, 6, 1)(x)
            return found

    report = check_connections(net=convnet(act1=Made()), batches=batches[:4], bare=method())
    assert faults(report) == ["frozen_layer"]
    assert "42 weights are no parameters" in report.findings[0].headline
