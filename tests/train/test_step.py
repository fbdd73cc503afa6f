"""Gradients against torch.autograd on the whole batch, in float64 where it matters."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cnntrain.data.batch import Batch
from cnntrain.optim import parameter_groups, set_learning_rate
from cnntrain.optim.optimizers.sgd import sgd
from cnntrain.tasks.losses.cross_entropy import CrossEntropy
from cnntrain.tasks.losses.mse import mse
from cnntrain.train import EpochDone, Learner, Recipe, train
from cnntrain.train.step import forward_backward, update


def linear_learner(**recipe: object) -> tuple[Learner, Recipe, Batch]:
    torch.manual_seed(3)
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, 5))
    batch = Batch(torch.randn(11, 3, 2, 2), torch.randint(0, 5, (11,)))
    optimizer = sgd(groups=parameter_groups(net, weight_decay=0.1), momentum=0.0)
    set_learning_rate(optimizer, 0.1)
    return Learner(net, optimizer), Recipe(epochs=1, lr=0.1, norm_every=0, **recipe), batch


CRITERIA = {
    "cross entropy": CrossEntropy(),
    "smoothed, weighted": CrossEntropy(
        label_smoothing=0.2, class_weights=(0.1, 2.0, 1.0, 0.5, 3.0)
    ),
}


@pytest.mark.parametrize("name", CRITERIA)
@pytest.mark.parametrize("accumulate", [2, 3, 11, 40])
@pytest.mark.parametrize("mixed", [False, True])
def test_accumulation_gives_the_gradient_of_the_whole_batch(
    name: str, accumulate: int, mixed: bool
) -> None:
    learner, whole, batch = linear_learner(l1=0.01)
    if mixed:
        onehot = F.one_hot(batch.targets, 5)
        batch = Batch(batch.images, 0.7 * onehot + 0.3 * onehot.roll(1, 0))
    criterion = CRITERIA[name]
    once = forward_backward(learner, batch, criterion=criterion, recipe=whole)
    expected = [gradient.clone() for gradient in learner.gradients()]
    recipe = Recipe(epochs=1, lr=0.1, l1=0.01, accumulate=accumulate)
    parts = forward_backward(learner, batch, criterion=criterion, recipe=recipe)
    for ours, theirs in zip(learner.gradients(), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(parts.loss, once.loss)
    torch.testing.assert_close(parts.objective, once.objective)
    torch.testing.assert_close(parts.outputs, once.outputs)


def test_l1_is_over_the_decayed_weights_only() -> None:
    learner, recipe, batch = linear_learner(l1=0.01)
    done = forward_backward(learner, batch, criterion=CrossEntropy(), recipe=recipe)
    weights = [p for name, p in learner.model.named_parameters() if name.endswith("weight")]
    penalty = sum(float(w.detach().abs().sum()) for w in weights)
    assert float(done.objective - done.loss) == pytest.approx(0.01 * penalty, rel=1e-4)


class WithHeads(nn.Module):
    aux_weights = (0.3, 0.5)

    def __init__(self) -> None:
        super().__init__()
        self.main, self.one, self.two = (nn.Linear(4, 3) for _ in range(3))

    def forward(self, x):
        x = x.flatten(1)
        if not self.training:
            return self.main(x)
        return self.main(x), (self.one(x), self.two(x))


def test_auxiliary_heads_add_to_the_objective_not_to_the_loss() -> None:
    torch.manual_seed(0)
    net = WithHeads()
    learner = Learner(net, sgd(groups=parameter_groups(net), momentum=0.0))
    batch = Batch(torch.randn(6, 1, 2, 2), torch.randint(0, 3, (6,)))
    recipe = Recipe(epochs=1, lr=0.1)
    done = forward_backward(learner, batch, criterion=CrossEntropy(), recipe=recipe)
    losses = [
        float(F.cross_entropy(head(batch.images.flatten(1)), batch.targets).detach())
        for head in (net.main, net.one, net.two)
    ]
    assert float(done.loss) == pytest.approx(losses[0])
    assert float(done.objective) == pytest.approx(losses[0] + 0.3 * losses[1] + 0.5 * losses[2])
    net.aux_weights = (0.3,)
    with pytest.raises(ValueError, match="zip"):
        forward_backward(learner, batch, criterion=CrossEntropy(), recipe=recipe)


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_clipping_is_torchs_and_of_the_unscaled_gradient(precision) -> None:
    learner, recipe, batch = linear_learner(clip_norm=0.05)
    done = forward_backward(learner, batch, criterion=CrossEntropy(), recipe=recipe)
    expected = float(torch.nn.utils.clip_grad_norm_(learner.model.parameters(), 0.05))
    clipped = [gradient.clone() for gradient in learner.gradients()]
    before = [p.detach().clone() for p in learner.parameters()]

    learner = Learner(learner.model, learner.optimizer, precision=precision)
    done = forward_backward(learner, batch, criterion=CrossEntropy(), recipe=recipe)
    norm = update(learner, done, recipe=recipe)
    assert norm is not None
    tolerance = 1e-5 if precision == "float32" else 5e-3  # float16 has 11 bits
    assert float(norm) == pytest.approx(expected, rel=tolerance)
    decays = [0.1 if p.ndim == 2 else 0.0 for p in learner.parameters()]
    for p, old, g, decay in zip(learner.parameters(), before, clipped, decays, strict=True):
        moved = (old - p.detach()) / 0.1 - decay * old
        torch.testing.assert_close(moved, g, rtol=0.02, atol=2e-4)


def test_norm_is_reported_only_when_wanted() -> None:
    recipe = Recipe(epochs=1, lr=0.1, norm_every=3)
    assert [recipe.wants_norm(step) for step in range(1, 8)] == [
        step in (3, 6) for step in range(1, 8)
    ]
    assert not Recipe(epochs=1, lr=0.1, norm_every=0).wants_norm(3)
    assert Recipe(epochs=1, lr=0.1, norm_every=0, clip_norm=1.0).wants_norm(1)


def test_float16_overflow_skips_the_step_and_is_no_divergence() -> None:
    learner, recipe, batch = linear_learner()
    learner = Learner(learner.model, learner.optimizer, precision="float16")
    learner.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40)
    before = [p.detach().clone() for p in learner.parameters()]
    done = forward_backward(learner, batch, criterion=CrossEntropy(), recipe=recipe)
    update(learner, done, recipe=recipe)
    assert all(torch.equal(p, old) for p, old in zip(learner.parameters(), before, strict=True))
    assert learner.scaler.get_scale() == 2.0**39
    assert not learner.state.diverged


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_precisions_learn_on_the_cpu(make_setup: Callable, precision) -> None:
    setup = make_setup(precision=precision)
    ends = [e for e in train(setup.learner, **setup.arguments) if isinstance(e, EpochDone)]
    assert ends[-1].train_loss < ends[0].train_loss
    assert {p.dtype for p in setup.learner.model.parameters()} == {torch.float32}


def test_mean_squared_error_is_half_the_squared_distance() -> None:
    # by hand: outputs (1, 0, 2), class 2: 1/2 (1 + 0 + 1) = 1; and its gradient outputs - onehot
    outputs = torch.tensor([[1.0, 0.0, 2.0]], requires_grad=True)
    loss = mse()(outputs, torch.tensor([2]))
    loss.backward()
    assert float(loss.detach()) == 1.0
    assert outputs.grad is not None
    assert outputs.grad.tolist() == [[1.0, 0.0, 1.0]]
