"""Exact whatever the batch size, and without side effects."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
import torch.nn.functional as F

from cnntrain.core.errors import DataError, DivergedError
from cnntrain.data.batch import Batch
from cnntrain.tasks.classification import CLASSIFICATION
from cnntrain.tasks.losses.cross_entropy import CrossEntropy
from cnntrain.train import StopRequest
from cnntrain.train.evaluation import ManyViews
from cnntrain.train.evaluation import evaluate as evaluate_any

evaluate = partial(evaluate_any, task=CLASSIFICATION)


@pytest.mark.parametrize("batch_size", [1, 8, 20, 21, 64])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_last_small_batch_counts_as_it_should(make_net, make_data, batch_size, weighted):
    net, loader = make_net().eval(), make_data(21)
    loader.shuffle, loader.batch_size = False, batch_size
    weights = (0.5, 1.0, 3.0, 0.1) if weighted else None
    result = evaluate(net, loader, criterion=CrossEntropy(class_weights=weights))
    with torch.no_grad():
        logits = net(loader.images)
    given = torch.tensor(weights) if weights else None
    expected = float(F.cross_entropy(logits, loader.targets, weight=given))
    assert result.loss == pytest.approx(expected, rel=1e-5)
    assert result.correct == int((logits.argmax(1) == loader.targets).sum())
    assert result.images == 21
    assert int(result.confusion.sum()) == 21


def test_modes_come_back_and_nothing_is_drawn(make_net: Callable, make_data: Callable) -> None:
    net, loader = make_net(), make_data(21)
    net.train()
    net.norm1.eval()
    before = (torch.get_rng_state(), {k: v.clone() for k, v in net.state_dict().items()})
    evaluate(net, loader, criterion=CrossEntropy())
    assert [m.training for m in net] == [m is not net.norm1 for m in net]
    assert torch.equal(torch.get_rng_state(), before[0])
    assert all(torch.equal(value, before[1][name]) for name, value in net.state_dict().items())


def test_modes_come_back_after_an_error(make_net: Callable, make_data: Callable) -> None:
    net, loader = make_net().train(), make_data(21)
    loader.images = loader.images[:, :, :3]
    with pytest.raises(RuntimeError):
        evaluate(net, loader, criterion=CrossEntropy())
    assert net.training
    assert torch.is_grad_enabled()


def test_mirrored_outputs_are_the_mean_of_both_sides(
    make_net: Callable, make_data: Callable
) -> None:
    net, loader = make_net().eval(), make_data(21)
    loader.shuffle = False
    batch = Batch(loader.images, loader.targets)
    with torch.no_grad():
        mean = (net(batch.images) + net(torch.flip(batch.images, [-1]))) / 2
    loss = torch.nn.functional.cross_entropy(mean, batch.targets)
    found = evaluate(ManyViews(net, views=2), loader, criterion=CrossEntropy())
    assert found is not None
    assert found.loss == pytest.approx(loss.item(), rel=1e-5)
    assert found.correct == (mean.argmax(dim=1) == batch.targets).sum()


def test_six_views_are_the_paper_s(make_net: Callable) -> None:
    """Jordan's listing: half the mirrored pair, half the mean of those of two shifted images."""
    net, images = make_net().eval(), torch.randn(5, 1, 6, 6)

    def pair(some: torch.Tensor) -> torch.Tensor:
        return net(some) / 2 + net(some.flip(-1)) / 2

    padded = torch.nn.ReflectionPad2d(1)(images)
    up_left, down_right = padded[:, :, 0:6, 0:6], padded[:, :, 2:8, 2:8]
    with torch.no_grad():
        expected = 0.5 * pair(images) + 0.5 * (pair(up_left) + pair(down_right)) / 2
        torch.testing.assert_close(ManyViews(net, views=6)(images), expected)


def test_layers_of_a_mirrored_network_have_their_own_names(
    make_net: Callable, make_data: Callable
) -> None:
    net = make_net()
    net.fc1.weight.data.fill_(torch.nan)
    with pytest.raises(DivergedError, match="'fc1'"):
        evaluate(ManyViews(net, views=2), make_data(21), criterion=CrossEntropy())


def test_a_stop_gives_no_result(make_net: Callable, make_data: Callable) -> None:
    stop = StopRequest()
    assert evaluate(make_net(), make_data(21), criterion=CrossEntropy(), stop=stop) is not None
    stop.request()
    assert evaluate(make_net(), make_data(21), criterion=CrossEntropy(), stop=stop) is None


def test_nothing_to_evaluate(make_net: Callable, make_data: Callable) -> None:
    with pytest.raises(DataError, match="no images to evaluate"):
        evaluate(make_net(), make_data(0), criterion=CrossEntropy())
