"""What learns: a network, its optimizer, and all else that changes from step to step."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from typing import cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from cnntrain.checkpoint import State
from cnntrain.optim import decayed_weights
from cnntrain.tasks.classification import CLASSIFICATION
from cnntrain.tasks.protocol import Task
from cnntrain.train.activations import ActivationPenalty, Activations
from cnntrain.train.finite import all_finite
from cnntrain.train.precision import LEAST_SCALE, Precision, grad_scaler
from cnntrain.train.state import TrainState
from cnntrain.train.together import ALONE, Processes

_Norm = nn.modules.batchnorm._NormBase


class Ema:
    """Exponential moving average of a network's weights: a second network, in evaluation mode.

    `average <- d * average + (1 - d) * value` after each step (Polyak and Juditsky 1992; Szegedy et
    al. 2016, section 8). Batch norm's running statistics are averaged too: the average network is
    then consistent. Integer buffers are copied.

    Args:
        model: the network that is trained, already on its device and in its memory format.
        decay: d, such as 0.999; about `1 / (1 - d)` steps are averaged.
        warmup: use `min(decay, (1 + t) / (10 + t))` at step t (from 1), so that the random initial
            weights are forgotten in a short run.
    """

    def __init__(self, model: nn.Module, *, decay: float, warmup: bool = True) -> None:
        self.decay = decay
        self.warmup = warmup
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        pairs = list(zip(_tensors(self.model), _tensors(model), strict=True))
        self._averages = [average for average, _ in pairs if average.is_floating_point()]
        self._values = [value for _, value in pairs if value.is_floating_point()]
        self._copied = [(a, v) for a, v in pairs if not a.is_floating_point()]

    def decay_at(self, step: int) -> float:
        """d of the step-th update, from 1."""
        return min(self.decay, (1 + step) / (10 + step)) if self.warmup else self.decay

    @torch.no_grad()
    def update(self, *, step: int) -> None:
        """Take in the weights after optimizer step `step` (from 1)."""
        torch._foreach_lerp_(self._averages, self._values, 1.0 - self.decay_at(step))
        for average, value in self._copied:
            average.copy_(value)

    def state_dict(self) -> State:
        """The averages by name: a state_dict of the network."""
        return dict(self.model.state_dict())


def _tensors(model: nn.Module) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]


@dataclass(eq=False)
class Learner:
    """The parts of a run that change; a checkpoint holds all of them.

    Args:
        model: the network, on its device, in its memory format; its weights are what is saved.
        optimizer: a fused one over the model's parameters, from `cnntrain.optim`.
        compiled: what is called in place of `model` and shares its weights: torch.compile's
            wrapper. None calls the model itself.
        ema: averages of the weights; where there is one, it is what is evaluated.
        precision: of the forward pass.
        part: name of the only module in the model that batches go through, in training and in
            evaluation: a probe's head, whose batches are features. Empty: the whole model.
        start: by name of the parameter, the weights towards which it decays in place of zero
            (`Recipe.l2_sp`).
        task: what the network is for.
        good: the state to go back to if training diverges, where the recipe wants that; see
            `cnntrain.train.skipping`.
        processes: that train this network together, each with a copy of all this.
        penalties: on what layers give.
    """

    model: nn.Module
    optimizer: Optimizer
    compiled: InitVar[nn.Module | None] = None
    ema: Ema | None = None
    precision: Precision = "float32"
    part: str = ""
    start: Mapping[str, Tensor] = field(default_factory=dict)
    task: Task = CLASSIFICATION
    good: State | None = None
    processes: Processes = ALONE
    penalties: Sequence[ActivationPenalty] = ()

    def __post_init__(self, compiled: nn.Module | None) -> None:
        groups = self.optimizer.param_groups
        self._parameters = [p for group in groups for p in group["params"]]
        self.net = self.model.get_submodule(self.part) if compiled is None else compiled
        self._is_compiled = compiled is not None
        self.activations = Activations(self.model, self.penalties)
        self._shared: list[str] = []  # parameters whose gradients are averaged
        self.statistics: list[Tensor] = []  # of the normalisations, averaged in each step
        self.other_buffers: list[Tensor] = []  # of the first process, in all of them
        self.device = next(self.model.parameters()).device
        self.scaler = grad_scaler(self.precision, self.device)
        self.state = TrainState(self.device, self.task, self.processes)
        self._anchored = [self.model.get_parameter(name) for name in self.start]
        if self.scaler.is_enabled():
            self.scaler.scale(torch.zeros((), device=self.device))  # makes its tensors
        else:
            # The fused kernels skip the step when this flag is 1; the scaler hands them its own.
            self.optimizer.found_inf = self.state.diverged  # type: ignore[attr-defined]  # torch's

    @property
    def evaluated(self) -> nn.Module:
        """The network that is evaluated: the average, or the trained one, never a compiled one.

        So evaluating a checkpoint gives the same numbers to the last bit, and nothing is compiled
        again for evaluation's batches.
        """
        model = self.model if self.ema is None else self.ema.model
        return model.get_submodule(self.part)

    def share_gradients(self) -> None:
        """Have the backward pass average the gradients over the processes; in training mode.

        Again after other parameters have come to learn. Alone it has no effect.
        """
        if self.processes.is_alone:
            return
        modules = list(self.model.modules())
        norms = [each for each in modules if isinstance(each, _Norm) and each.training]
        kept = [each for norm in norms for each in (norm.running_mean, norm.running_var)]
        self.statistics = [each for each in kept if each is not None]
        of_norms = {
            id(each) for norm in modules if isinstance(norm, _Norm) for each in norm.buffers()
        }
        self.other_buffers = [each for each in self.model.buffers() if id(each) not in of_norms]
        learning = [name for name, each in self.model.named_parameters() if each.requires_grad]
        if learning != self._shared:
            wrapped = self.processes.wrapped(self.model.get_submodule(self.part), self.device)
            self.net = cast(nn.Module, torch.compile(wrapped)) if self._is_compiled else wrapped
            self._shared = learning

    def has_lost_scale(self) -> bool:
        """Whether float16's scaler has skipped so many steps that more will not help; waits."""
        return self.scaler.is_enabled() and self.scaler.get_scale() < LEAST_SCALE

    def parameters(self) -> list[nn.Parameter]:
        """The parameters that are trained, in the optimizer's order."""
        return self._parameters

    def clear_gradients(self) -> None:
        """As the optimizer's `zero_grad`, which its profiler watches: that takes longer."""
        for parameter in self._parameters:
            parameter.grad = None

    def gradients(self) -> list[Tensor]:
        """Their gradients, where there are any."""
        return [p.grad for p in self._parameters if p.grad is not None]

    def named_tensors(self) -> Iterator[tuple[str, Tensor]]:
        """All that may become infinite or NaN, with what it is: weights, statistics, buffers."""
        for name, parameter in self.model.named_parameters():
            yield f"parameter '{name}'", parameter
        for name, buffer in self.model.named_buffers():
            yield f"statistic '{name}'", buffer
        if self.ema is not None:
            for name, value in self.ema.state_dict().items():
                if isinstance(value, Tensor):
                    yield f"average of '{name}'", value
        names = {id(parameter): name for name, parameter in self.model.named_parameters()}
        for trained, buffers in self.optimizer.state.items():
            for what, kept in buffers.items():
                if isinstance(kept, Tensor):
                    yield f"optimizer's {what} of '{names[id(trained)]}'", kept

    def is_finite(self) -> bool:
        """Whether all that a checkpoint would hold is; waits for the device."""
        return not self.state.diverged and all_finite(value for _, value in self.named_tensors())

    def magnitude(self) -> Tensor:
        """The sum of the magnitudes of all decayed weights, 0-d."""
        norms = [weight.abs().sum() for weight in decayed_weights(self.optimizer)]
        return torch.stack(norms).sum()

    def distance_from_start(self) -> Tensor:
        """`sum |w - w0|^2` over the parameters with a starting point w0, 0-d."""
        pairs = zip(self._anchored, self.start.values(), strict=True)
        return torch.stack([(now - start).square().sum() for now, start in pairs]).sum()
