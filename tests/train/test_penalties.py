"""Penalties on what layers give: their formulas, and one step with each of them.

The numbers of `kl_sparsity` are those of the lectures' sparse autoencoder; gradients are compared
with finite differences in float64, Jacobians with torch.autograd's, row by row.
"""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.functional import jacobian

import cnntrain
from cnntrain.arch.build import build
from cnntrain.arch.description import Facts, describe
from cnntrain.arch.network import Network
from cnntrain.arch.planner import make_plan
from cnntrain.assemble.checked import check_run_file
from cnntrain.core.choices import PENALTIES as CATALOGUE
from cnntrain.core.document import parse_document
from cnntrain.core.errors import ConfigError
from cnntrain.data.batch import Batch
from cnntrain.optim import parameter_groups
from cnntrain.optim.optimizers.sgd import sgd
from cnntrain.tasks.losses.cross_entropy import CrossEntropy
from cnntrain.train import Learner, Recipe
from cnntrain.train.activations import ActivationPenalty, Activations, Seen
from cnntrain.train.compiled import Compiled
from cnntrain.train.evaluation import evaluation_mode
from cnntrain.train.penalties.activation_l1 import activation_l1
from cnntrain.train.penalties.contractive import contractive
from cnntrain.train.penalties.kl_sparsity import kl_sparsity
from cnntrain.train.precision import Precision
from cnntrain.train.step import forward_backward

NET = """
layers:
  - {conv: {out: 3, padding: same}, as: early}
  - tanh
  - max_pool
  - flatten
  - {linear: {out: 6}, as: encoder1}
  - {sigmoid: , as: code}
  - linear: {out: $num_classes}
"""
PENALTIES: dict[str, dict[str, Any]] = {
    "kl_sparsity": {"layers": ["code"], "rho": 0.1, "beta": 0.2},
    "activation_l1": {"layers": ["code", "tanh1"], "weight": 0.01},
    "contractive": {"layers": ["encoder1", "early"], "weight": 0.02},
}
every_penalty = pytest.mark.parametrize("name", PENALTIES)


def network(text: str = NET, shape: tuple[int, int, int] = (2, 6, 6)) -> Network:
    torch.manual_seed(0)
    document = parse_document(text, name="net.yaml")
    return build(make_plan(describe(document, facts=Facts(3, *shape))))


def made(name: str) -> ActivationPenalty:
    penalty: ActivationPenalty = CATALOGUE.load(name)(
        **{k: tuple(v) if isinstance(v, list) else v for k, v in PENALTIES[name].items()}
    )
    return penalty


def batch_of(count: int = 12) -> Batch:
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(count, 2, 6, 6, generator=generator)
    return Batch(images, torch.randint(0, 3, (count,), generator=generator))


def learner_of(
    net: Network,
    *penalties: ActivationPenalty,
    compiled: nn.Module | None = None,
    precision: Precision = "float32",
) -> Learner:
    optimizer = sgd(groups=parameter_groups(net), momentum=0.0)
    return Learner(net, optimizer, compiled, precision=precision, penalties=penalties)


def step(learner: Learner, *, accumulate: int = 1, count: int = 12) -> list[Tensor]:
    """Loss, objective, then the gradients."""
    recipe = Recipe(epochs=1, lr=0.1, accumulate=accumulate)
    done = forward_backward(learner, batch_of(count), criterion=CrossEntropy(), recipe=recipe)
    return [done.loss, done.objective, *[each.clone() for each in learner.gradients()]]


def close(ours: list[Tensor], theirs: list[Tensor], **tolerances: float) -> None:
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, **tolerances)


def test_every_penalty_is_tried() -> None:
    assert set(PENALTIES) == set(CATALOGUE.names())


# formulas


def kl(mean: float, rho: float = 0.05) -> float:
    penalty = kl_sparsity(layers=("a",), rho=rho, beta=1.0)
    output = torch.full((4, 1), mean, dtype=torch.float64)
    return float(penalty.each(Seen(nn.Sigmoid(), None, (1,), output)))


def test_the_divergence_has_the_lectures_values() -> None:
    # rho log(rho / r) + (1 - rho) log((1 - rho) / (1 - r)) for rho = 0.05
    assert kl(0.05) == pytest.approx(0, abs=1e-12)
    assert kl(0.2) == pytest.approx(0.05 * math.log(0.25) + 0.95 * math.log(0.95 / 0.8))
    assert kl(0.2) == pytest.approx(0.0939, abs=5e-5)
    slope = (kl(0.2 + 1e-6) - kl(0.2 - 1e-6)) / 2e-6
    assert slope == pytest.approx(-0.05 / 0.2 + 0.95 / 0.8, abs=1e-6)  # 0.9375


def test_silent_and_saturated_units_have_a_finite_penalty() -> None:
    assert math.isfinite(kl(0.0))
    assert math.isfinite(kl(1.0))


def test_units_are_averaged_over_images_and_maps_over_pixels_too() -> None:
    penalty = kl_sparsity(layers=("a",), rho=0.3, beta=2.0)
    for shape in ((5, 4), (5, 4, 3, 2)):
        output = torch.rand(shape, dtype=torch.float64)
        expected = 0.0
        for unit in range(4):
            mean = float(output[:, unit].mean())
            expected += 0.3 * math.log(0.3 / mean) + 0.7 * math.log(0.7 / (1 - mean))
        found = float(penalty.each(Seen(nn.Sigmoid(), None, (1,), output)))
        assert found == pytest.approx(2 * expected)


def test_the_sparse_autoencoders_delta_against_finite_differences() -> None:
    """J = 1/m sum |a3 - x|^2 / 2 + beta sum KL, both layers sigmoid; delta2 for each image.

    As printed, delta2 = (theta2^T delta3) g'(z2) + beta (-rho/r + (1-rho)/(1-r)); g' applies to the
    second term, too. With hidden means of 0.228 the difference is 1.011 (1 - 0.176) 3 = 2.5.
    """
    torch.manual_seed(0)
    x = torch.rand(10, 8, dtype=torch.float64)
    encoder, decoder = nn.Linear(8, 5).double(), nn.Linear(5, 8).double()
    nn.init.normal_(encoder.weight, std=0.01)
    nn.init.constant_(encoder.bias, -1.22)
    penalty = kl_sparsity(layers=("a",), rho=0.05, beta=3.0)

    def objective(z: Tensor) -> Tensor:
        code = torch.sigmoid(z)
        wrong = torch.sigmoid(decoder(code)) - x
        return wrong.square().sum() / 20 + penalty.each(Seen(nn.Sigmoid(), None, (8,), code))

    z = encoder(x).detach().requires_grad_()
    objective(z).backward()
    assert z.grad is not None
    differences = torch.zeros_like(z)
    with torch.no_grad():
        for place in range(z.numel()):
            for side in (1, -1):
                moved = z.detach().clone()
                moved.view(-1)[place] += side * 1e-6
                differences.view(-1)[place] += side * objective(moved) / 2e-6
        code = torch.sigmoid(z)
        output = torch.sigmoid(decoder(code))
        back = ((output - x) * output * (1 - output)) @ decoder.weight
        mean = code.mean(dim=0)
        slope = 3 * (-0.05 / mean + 0.95 / (1 - mean))
        right = (back + slope) * code * (1 - code) / 10
        printed = (back * code * (1 - code) + slope) / 10
    assert (z.grad - differences).abs().max() < 1e-9
    assert (right - differences).abs().max() < 1e-9
    assert (printed - differences).abs().max() * 10 == pytest.approx(2.5, abs=0.05)


def test_activation_l1_is_the_mean_over_images_of_the_sum_over_outputs() -> None:
    output = torch.tensor([[1.0, -2.0], [0.5, 0.0], [0.0, -4.0]])
    found = activation_l1(layers=("a",), weight=0.1).each(Seen(nn.ReLU(), None, (2,), output))
    assert float(found) == pytest.approx(0.1 * (1 + 2 + 0.5 + 4) / 3)


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("flatten, {linear: {out: 5}, as: a}, sigmoid", (2, 3, 3)),
        ("{conv: {out: 3, kernel: 3, padding: same}, as: a}, tanh", (2, 4, 5)),
        ("{conv: {out: 4, kernel: 3, stride: 2, groups: 2, bias: false}, as: a}, elu", (2, 5, 5)),
        ("{conv: {out: 2, kernel: 3, padding: circular}, as: a}, sigmoid", (1, 4, 4)),
        ("{conv_transpose: {out: 3, stride: 2, padding: 1}, as: a}, gelu", (2, 3, 3)),
    ],
)  # fmt: skip
def test_contractive_is_the_squared_jacobian(text: str, shape: tuple[int, int, int]) -> None:
    net = network(f"layers: [{text}, flatten, {{linear: {{out: $num_classes}}}}]", shape).double()
    images = torch.randn(3, *shape, dtype=torch.float64)
    activations = Activations(net, [contractive(layers=("a",), weight=0.7)])
    net(images)
    [found] = activations.penalties()
    encoder = nn.Sequential(*list(net.children())[:-2])
    expected = 0.0
    for image in images:
        derivative = jacobian(lambda one: encoder(one[None]), image)
        expected += 0.7 * float(derivative.square().sum()) / 3
    assert float(found.detach()) == pytest.approx(expected)
    [gradient] = torch.autograd.grad(found, net.get_parameter("a.weight"))
    assert gradient.abs().max() > 0


@every_penalty
def test_its_gradient_is_that_of_finite_differences(name: str) -> None:
    net = network().double()
    images = batch_of().images.double()
    activations = Activations(net, [made(name)])

    def value() -> Tensor:
        net(images)
        return torch.stack(activations.penalties()).sum()

    value().backward()
    for parameter in (net.get_parameter("encoder1.weight"), net.get_parameter("early.bias")):
        assert parameter.grad is not None
        for place in (0, parameter.numel() // 2, parameter.numel() - 1):
            ends = []
            for side in (1, -1):
                parameter.data.view(-1)[place] += side * 1e-6
                ends.append(float(value().detach()))
                parameter.data.view(-1)[place] -= side * 1e-6
            difference = (ends[0] - ends[1]) / 2e-6
            assert float(parameter.grad.view(-1)[place]) == pytest.approx(difference, abs=1e-8)


# a step of training


@every_penalty
def test_it_is_added_to_the_objective_and_not_to_the_loss(name: str) -> None:
    plain = step(learner_of(network()))
    net = network()
    ours = step(learner_of(net, made(name)))
    assert torch.equal(ours[0], plain[0])
    assert float(ours[1] - plain[1]) > 1e-3
    copied = copy.deepcopy(net)  # with the hook, and without what it kept
    with evaluation_mode(copied), torch.inference_mode():
        copied(batch_of().images)
    close(step(learner_of(network(), made(name))), ours, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["activation_l1", "contractive"])
@pytest.mark.parametrize("parts", [2, 5])
def test_parts_of_a_batch_give_the_gradient_of_the_whole(name: str, parts: int) -> None:
    whole = step(learner_of(network(), made(name)), count=11)
    ours = step(learner_of(network(), made(name)), accumulate=parts, count=11)
    close(ours, whole, rtol=1e-5, atol=1e-7)


@every_penalty
def test_a_compiled_network_has_it_too(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.compiler.reset()
    compile_with_torch = torch.compile
    monkeypatch.setattr(
        torch, "compile", lambda net, **kw: compile_with_torch(net, backend="aot_eager", **kw)
    )
    net = network()
    learner = learner_of(net, made(name), compiled=Compiled(net))
    expected = learner_of(network(), made(name))
    for _ in range(2):
        close(step(learner), step(expected), rtol=1e-5, atol=1e-6)


@every_penalty
def test_under_autocast_it_is_computed_in_float32(name: str) -> None:
    ours = step(learner_of(network(), made(name), precision="bfloat16"))
    exact = step(learner_of(network(), made(name)))
    assert float(ours[1] - ours[0]) == pytest.approx(float(exact[1] - exact[0]), rel=0.02)


def test_nothing_is_kept_after_a_step_or_by_an_evaluation() -> None:
    net = network()
    learner = learner_of(net, *(made(name) for name in PENALTIES))
    step(learner)
    assert learner.activations._kept == {}
    with evaluation_mode(net), torch.inference_mode():
        net(batch_of().images)
    assert learner.activations._kept == {}


# the run file

RUN = """
arch: {layers: [flatten, {linear: {out: 4}, as: encoder1}, sigmoid, {linear: {out: 3}}]}
data: {name: synthetic, size: 6, classes: 3, images: 32, batch_size: 16}
train:
  epochs: 2
  optimizer: {name: sgd, lr: 0.1}
  penalties: PENALTIES
"""
KL = "[kl_sparsity: {layers: [sigmoid1]}]"


@pytest.mark.parametrize(
    ("penalties", "more", "message"),
    [
        ("[kl_sparsity: {layers: [encoder1]}]", "", "7:38: 'encoder1': the outputs of"),
        ("[kl_sparsity: {layers: [sigmod1]}]", "", "7:38: .*'sigmod1'; did you mean 'sig"),
        ("[contractive: {layers: [sigmoid1]}]", "", "7:38: .*not linear, conv or conv_transpose"),
        ("[contractive: {layers: [linear2]}]", "", "7:38: .*no activation is directly behind"),
        ("[kl_sparsity: {layers: []}]", "", "no layer is named; the network has flatten1, enc"),
        ("[kl_sparsity: {layers: [a, a]}]", "", "a list of names, each once"),
        ("[kl_sparsity: {layers: [sigmoid1], rho: 1}]", "", "'rho'.*less than 1"),
        (KL, "  accumulate: 2", "needs the means over a whole batch, but a batch is comp"),
        (
            "[activation_l1: {layers: [sigmoid1], weight: 1}]",
            "  accumulate: 2\n  loss: {name: cross_entropy, class_weights: balanced}",
            "counts every image alike, and class_weights do not",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_obeyed_is_refused(
    tmp_path: Path, penalties: str, more: str, message: str
) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(RUN.replace("PENALTIES", penalties) + more)
    with pytest.raises(ConfigError, match=message):
        check_run_file(file)


def test_a_run_is_the_same_each_time_and_another_without(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(RUN.replace("PENALTIES", KL))
    changes: list[dict[str, Any]] = [{}, {}, {"train.penalties": []}]
    whole, again, plain = (
        cnntrain.fit(file, overrides=each, quiet=True).model.net.get_parameter("encoder1.weight")
        for each in changes
    )
    assert torch.equal(whole, again)
    assert not torch.equal(whole, plain)
