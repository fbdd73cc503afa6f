"""What stands still does not move by a bit and costs no gradient; the rest is a plain network."""

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cnntrain.core.errors import DivergedError
from cnntrain.optim import parameter_groups
from cnntrain.optim.optimizers.adam import adam
from cnntrain.optim.optimizers.adamw import adamw
from cnntrain.optim.optimizers.sgd import sgd
from cnntrain.tasks.losses.cross_entropy import CrossEntropy
from cnntrain.train import EpochDone, Learner, Recipe, StepDone, snapshot, train
from cnntrain.train.evaluation import training_mode
from cnntrain.train.recipe import Freezing

EARLY = Freezing(("conv1", "norm1"))
OPTIMIZERS = {"sgd": partial(sgd, momentum=0.9), "adam": adam, "adamw": adamw}


def copies(net: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items()}


def moved(net: nn.Module, before: dict[str, torch.Tensor]) -> set[str]:
    return {
        name for name, value in net.state_dict().items() if not torch.equal(value, before[name])
    }


def test_when_a_layer_begins_to_learn() -> None:
    freezing = Freezing(("stage*", "stem"), {3: ("stage2",), 5: ("stage?.block1",)})
    begins = {
        name: freezing.begins(name)
        for name in ("fc.weight", "stem", "stage1.block2", "stage1.block1.bias", "stage2.block1")
    }
    assert begins == {
        "fc.weight": 1,
        "stem": None,
        "stage1.block2": None,
        "stage1.block1.bias": 5,
        "stage2.block1": 3,
    }
    still = [freezing.is_frozen("stage2", epoch=epoch) for epoch in (1, 2, 3, 4)]
    assert still == [True, True, False, False]
    assert freezing.is_frozen("stem", epoch=None)
    assert not freezing.is_frozen("stage2", epoch=None)
    assert Freezing().begins("fc") == 1


def test_when_a_layer_learns_no_longer() -> None:
    freezing = Freezing(("stem",), {3: ("stem",)}, {4: ("stage?",), 6: ("stem", "stage1")})
    ends = {name: freezing.ends(name) for name in ("stem.conv1", "stage1.conv1.weight", "fc")}
    assert ends == {"stem.conv1": 6, "stage1.conv1.weight": 4, "fc": None}
    frozen = {
        name: [epoch for epoch in range(1, 8) if freezing.is_frozen(name, epoch=epoch)]
        for name in ends
    }
    assert frozen == {"stem.conv1": [1, 2, 6, 7], "stage1.conv1.weight": [4, 5, 6, 7], "fc": []}
    assert not any(freezing.is_frozen(name, epoch=None) for name in ends)


def test_a_layer_frozen_later_moves_until_then_and_not_by_a_bit_after(
    make_setup: Callable,
) -> None:
    """Momentum, weight decay and the statistics of batch norm included."""
    setup = make_setup()
    net = setup.learner.model
    freezing = Freezing(later={2: ("conv1", "norm1")})
    groups = parameter_groups(net, weight_decay=0.1, decay_norm_and_bias=True)
    learner = Learner(net, sgd(groups=groups, momentum=0.9))
    recipe = replace(setup.recipe, epochs=3, freezing=freezing, early_stop=None)
    states = [copies(net)]
    for event in train(learner, **{**setup.arguments, "recipe": recipe}):
        if isinstance(event, EpochDone):
            states.append(copies(net))
    assert {"conv1.weight", "norm1.weight", "norm1.running_mean"} <= moved(net, states[0])
    assert moved(net, states[1]) == {"fc1.weight", "fc1.bias"}


def test_modules_stand_still_only_as_a_whole(make_net: Callable) -> None:
    net = nn.Sequential()
    net.add_module("body", make_net())
    net.add_module("head", nn.Linear(4, 2))
    Freezing(("body",), {2: ("body.fc1",)}).hold(net, epoch=2)
    training_mode(net)
    modes = {name: module.training for name, module in net.named_modules()}
    assert modes["body.norm1"] is modes["body.dropout1"] is False
    assert modes["body"] is modes["body.fc1"] is modes["head"] is True
    assert [name for name, p in net.named_parameters() if not p.requires_grad] == [
        *("body.conv1.weight", "body.norm1.weight", "body.norm1.bias"),
    ]
    Freezing(("body",), {2: ("body",)}).hold(net, epoch=2)
    training_mode(net)
    assert all(module.training for module in net.modules())
    Freezing(("*",), {2: ("head",)}).hold(net, epoch=2)
    training_mode(net)
    assert {name for name, m in net.named_modules() if m.training} == {"", "head"}


def test_without_layers_nothing_is_touched(make_net: Callable) -> None:
    net = make_net()
    net.conv1.requires_grad_(False)
    Freezing().hold(net, epoch=1)
    assert not net.conv1.weight.requires_grad
    assert not any(hasattr(module, "frozen") for module in net.modules())


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_not_a_bit_moves(make_setup: Callable, make: Callable) -> None:
    """Weight decay, momentum, averages, L1 and clipping included; the rest moves."""
    setup = make_setup()
    net = setup.learner.model
    EARLY.hold(net, epoch=1)
    groups = parameter_groups(net, weight_decay=0.1, decay_norm_and_bias=True)
    learner = Learner(net, make(groups=groups), ema=setup.learner.ema)
    before = copies(net)
    recipe = replace(setup.recipe, freezing=EARLY)
    list(train(learner, **{**setup.arguments, "recipe": recipe}))
    assert moved(net, before) == {"fc1.weight", "fc1.bias"}
    assert moved(learner.ema.model, before) == {"fc1.weight", "fc1.bias"}
    buffers = snapshot(learner)["optimizer"]["buffers"]
    assert buffers.keys() == {"fc1.weight", "fc1.bias"}


def test_no_graph_below_the_first_layer_that_learns(
    make_net: Callable, make_data: Callable
) -> None:
    net, seen = make_net(), {}
    for name, module in net.named_children():
        module.register_forward_hook(lambda m, i, out, name=name: seen.update({name: out}))
    learner = Learner(net, sgd(groups=parameter_groups(net), momentum=0.0))
    recipe = Recipe(epochs=1, lr=0.1, freezing=EARLY)
    for _ in train(learner, recipe=recipe, criterion=CrossEntropy(), loader=make_data(8)):
        pass
    graphs = {name: out.grad_fn is not None for name, out in seen.items()}
    assert graphs == {name: name == "fc1" for name in graphs}
    assert net.conv1.weight.grad is None


def test_same_weights_as_a_plain_loop_over_the_head(
    make_net: Callable, make_data: Callable
) -> None:
    """torch's own SGD on the last layer alone, its input computed in evaluation mode."""
    loader, net = make_data(37), make_net()
    net.norm1.running_mean.normal_()
    twin = copy.deepcopy(net).eval()
    freezing = Freezing(("conv1", "norm1", "dropout1"))
    freezing.hold(net, epoch=1)
    learner = Learner(net, sgd(groups=parameter_groups(net, weight_decay=0.01), momentum=0.9))
    recipe = Recipe(epochs=2, lr=0.1, freezing=freezing)
    list(train(learner, recipe=recipe, criterion=CrossEntropy(), loader=loader))

    head = twin.fc1
    optimizer = torch.optim.SGD(
        [{"params": [head.weight], "weight_decay": 0.01}, {"params": [head.bias]}],
        lr=0.1,
        momentum=0.9,
    )
    for epoch in (1, 2):
        for images, targets in loader.batches(epoch):
            with torch.no_grad():
                features = twin[:-1](images)
            optimizer.zero_grad()
            F.cross_entropy(head(features), targets).backward()
            optimizer.step()
    torch.testing.assert_close(net.fc1.weight, head.weight, rtol=0, atol=1e-6)
    torch.testing.assert_close(net.fc1.bias, head.bias, rtol=0, atol=1e-6)


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_layers_learn_from_their_epoch_on(make_setup: Callable, make: Callable) -> None:
    setup = make_setup()
    net = setup.learner.model
    freezing = Freezing(("conv1", "norm1"), {3: ("norm1",)})
    freezing.hold(net, epoch=None)
    learner = Learner(net, make(groups=parameter_groups(net, weight_decay=0.1)))
    trained = {name for group in learner.optimizer.param_groups for name in group["param_names"]}
    assert trained == {"norm1.weight", "norm1.bias", "fc1.weight", "fc1.bias"}
    before, changes = copies(net), []
    recipe = replace(setup.recipe, freezing=freezing)
    for event in train(learner, **{**setup.arguments, "recipe": recipe}):
        if isinstance(event, EpochDone):
            changes.append(moved(net, before))
            before = copies(net)
    head = {"fc1.weight", "fc1.bias"}
    norm = {"norm1.weight", "norm1.bias"}
    statistics = {"norm1.running_mean", "norm1.running_var", "norm1.num_batches_tracked"}
    assert changes == [head, head, head | norm | statistics, head | norm | statistics]


def test_a_compiled_network_is_compiled_anew(make_data: Callable, make_net: Callable) -> None:
    """The eager backend of torch.compile: the guards are those of any, without a compiler."""

    def trained(compiled: bool) -> dict[str, torch.Tensor]:
        torch.compiler.reset()
        net = make_net(dropout=0.0)
        freezing = Freezing(("conv1", "norm1"), {2: ("norm1",)})
        freezing.hold(net, epoch=2)
        learner = Learner(
            net,
            sgd(groups=parameter_groups(net), momentum=0.9),
            compiled=torch.compile(net, backend="aot_eager") if compiled else None,
        )
        recipe = Recipe(epochs=3, lr=0.1, freezing=freezing)
        list(train(learner, recipe=recipe, criterion=CrossEntropy(), loader=make_data(16)))
        return copies(net)

    expected, found = trained(False), trained(True)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=1e-6)


def test_a_step_towards_the_starting_point(make_net: Callable, make_data: Callable) -> None:
    """L2-SP's gradient is alpha (w - w0): what is left without that of the loss."""
    net, loader = make_net(), make_data(8)
    start = {"conv1.weight": torch.randn_like(net.conv1.weight)}
    before, alpha, lr = copies(net), 0.25, 0.5

    class Nothing(CrossEntropy):
        def __call__(self, logits, targets, /):
            return 0.0 * super().__call__(logits, targets)

    groups = parameter_groups(net, weight_decay=0.125, anchored=start)
    learner = Learner(net, sgd(groups=groups, momentum=0.0), start=start)
    recipe = Recipe(epochs=1, lr=lr, l2_sp=alpha)
    list(train(learner, recipe=recipe, criterion=Nothing(), loader=loader))
    towards = before["conv1.weight"] - lr * alpha * (before["conv1.weight"] - start["conv1.weight"])
    torch.testing.assert_close(net.conv1.weight.detach(), towards, rtol=0, atol=1e-6)
    to_zero = before["fc1.weight"] * (1 - lr * 0.125)
    torch.testing.assert_close(net.fc1.weight.detach(), to_zero, rtol=0, atol=1e-7)
    assert torch.equal(net.fc1.bias, before["fc1.bias"])


def test_parts_of_a_batch_pull_once(make_net: Callable, make_data: Callable) -> None:
    """Batch norm apart, the gradient of a batch in parts is that of the whole, L2-SP included."""

    def trained(parts: int) -> dict[str, torch.Tensor]:
        net = make_net(dropout=0.0)
        net.norm1 = nn.Identity()
        start = {"fc1.weight": torch.ones_like(net.fc1.weight)}
        groups = parameter_groups(net, anchored=start)
        learner = Learner(net, sgd(groups=groups, momentum=0.0), start=start)
        recipe = Recipe(epochs=1, lr=0.1, l2_sp=0.5, accumulate=parts)
        list(train(learner, recipe=recipe, criterion=CrossEntropy(), loader=make_data(16)))
        return copies(net)

    whole, parts = trained(1), trained(3)
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, rtol=0, atol=1e-6)


def test_a_part_of_the_model_is_trained_and_evaluated(
    make_net: Callable, make_data: Callable
) -> None:
    """As if the head were all there is; what is saved is the whole."""
    images, model = make_data(21), make_net()
    before = copies(model)
    features = replace(images, images=torch.randn(21, 4 * 3 * 3))
    head = copy.deepcopy(model.fc1)
    freezing = Freezing(("conv1", "norm1"))
    freezing.hold(model, epoch=1)
    recipe, found = Recipe(epochs=2, lr=0.1, freezing=freezing), []
    for net, part in ((model, "fc1"), (head, "")):
        learner = Learner(net, sgd(groups=parameter_groups(net), momentum=0.9), part=part)
        arguments = {"criterion": CrossEntropy(), "loader": features, "validation": features}
        events = list(train(learner, recipe=recipe, **arguments))
        steps = [float(event.loss) for event in events if isinstance(event, StepDone)]
        epochs = [event.validation for event in events if isinstance(event, EpochDone)]
        found.append((steps, epochs))
    assert found[0] == found[1]
    assert moved(model, before) == {"fc1.weight", "fc1.bias"}
    assert torch.equal(model.fc1.weight, head.weight)
    assert snapshot(learner)["model"].keys() == {"weight", "bias"}


def test_features_that_are_not_finite_are_told(make_net: Callable, make_data: Callable) -> None:
    model, data = make_net(), make_data(16)
    features = replace(data, images=torch.randn(16, 4 * 3 * 3))
    features.changes[1, 1] = lambda values: values.index_fill(0, torch.tensor([2]), float("nan"))
    EARLY.hold(model, epoch=1)
    learner = Learner(model, sgd(groups=parameter_groups(model), momentum=0.0), part="fc1")
    recipe = Recipe(epochs=1, lr=0.1, freezing=EARLY)
    with pytest.raises(DivergedError, match=r"at step 2 .* images \[2\] of the batch"):
        list(train(learner, recipe=recipe, criterion=CrossEntropy(), loader=features))
