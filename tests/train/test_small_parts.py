"""Averages, class weights, early stop, determinism: each against its formula."""

import math
import os
import random
from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import nn

from cnntrain.tasks.criterion import balanced_class_weights
from cnntrain.train import EarlyStop, Ema, make_deterministic, undisturbed
from cnntrain.train.recipe import EarlyStopState


def test_the_average_of_weights_and_buffers(make_net: Callable) -> None:
    net = make_net()
    ema = Ema(net, decay=0.9, warmup=False)
    expected = {name: value.clone() for name, value in net.state_dict().items()}
    for step in range(1, 5):
        net.train()(torch.randn(6, 1, 6, 6))  # moves the batch norm's statistics
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.add_(torch.randn_like(parameter))
        ema.update(step=step)
        for name, value in net.state_dict().items():
            old = expected[name]
            expected[name] = 0.9 * old + 0.1 * value if value.is_floating_point() else value.clone()
    assert ema.state_dict().keys() == expected.keys()
    for name, value in ema.state_dict().items():
        torch.testing.assert_close(value, expected[name])
    assert int(ema.state_dict()["norm1.num_batches_tracked"]) == 4
    assert not ema.model.training
    assert not any(parameter.requires_grad for parameter in ema.model.parameters())


def test_the_averages_warm_up() -> None:
    ema = Ema(nn.Linear(1, 1), decay=0.999)
    assert [ema.decay_at(step) for step in (1, 2, 10)] == [2 / 11, 3 / 12, 11 / 20]
    assert ema.decay_at(10**6) == 0.999
    assert Ema(nn.Linear(1, 1), decay=0.5, warmup=False).decay_at(1) == 0.5


def test_balanced_weights_are_scikit_learns() -> None:
    targets = [0] * 7 + [1] * 2 + [2] * 3
    expected = compute_class_weight("balanced", classes=np.arange(3), y=targets)
    assert balanced_class_weights([7, 2, 3]) == pytest.approx(list(expected))
    assert balanced_class_weights([4, 0]) == (0.5, 1.0)


def test_early_stop_counts_evaluations_without_gain() -> None:
    rule, state = EarlyStop(patience=2, min_delta=0.01), EarlyStopState()
    reached = []
    for error in (0.5, 0.495, 0.4, math.nan, 0.4):
        state = rule.after(state, error)
        reached.append(rule.reached(state))
    assert reached == [False, False, False, False, True]
    assert state == EarlyStopState(best=0.4, stale=2)


def test_early_stop_takes_an_equal_error_for_no_gain() -> None:
    """Of the default rule too: an error that is flat for `patience` evaluations ends the run."""
    rule, state = EarlyStop(patience=2), EarlyStopState()
    reached = []
    for error in (0.5, 0.5, 0.5):
        state = rule.after(state, error)
        reached.append(rule.reached(state))
    assert reached == [False, False, True]


def test_deterministic_mode(monkeypatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    before = (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark)
    try:
        make_deterministic(True)
        assert torch.are_deterministic_algorithms_enabled()
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
        assert torch.backends.cudnn.deterministic
        assert not torch.backends.cudnn.benchmark
        make_deterministic(False)
        assert not torch.are_deterministic_algorithms_enabled()
        assert torch.backends.cudnn.benchmark
    finally:
        torch.use_deterministic_algorithms(False)
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = before
        os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)


def test_where_nothing_changes_torch_imports_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """`use_deterministic_algorithms` imports torch._inductor."""

    def refuse(mode: bool, **_: bool) -> None:
        raise AssertionError(mode)

    monkeypatch.setattr(torch, "use_deterministic_algorithms", refuse)
    with undisturbed():
        make_deterministic(False)
        with pytest.raises(AssertionError, match="True"):
            make_deterministic(True)


def test_undisturbed_puts_everything_back() -> None:
    def settings() -> list[object]:
        cudnn = torch.backends.cudnn
        return [
            *random.getstate(),
            *np.random.get_state()[1].tolist(),
            torch.get_rng_state().tolist(),
            torch.get_num_threads(),
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
            cudnn.deterministic,
            cudnn.benchmark,
        ]

    torch.use_deterministic_algorithms(True, warn_only=True)
    before = settings()
    try:
        with undisturbed():
            random.seed(3)
            np.random.seed(3)
            torch.manual_seed(3)
            torch.set_num_threads(torch.get_num_threads() + 1)
            torch.use_deterministic_algorithms(False)
            torch.backends.cudnn.deterministic ^= True
            torch.backends.cudnn.benchmark ^= True
            assert sum(a != b for a, b in zip(before, settings(), strict=True)) > 6
        assert settings() == before
    finally:
        torch.use_deterministic_algorithms(False)
