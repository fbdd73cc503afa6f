"""What `test_together.py` runs in each of two processes: one JSON object of findings each.

Everything is compared with one process that does the same alone, in float64; how a batch is cut
comes from torch's `chunk`, not from the package.
"""

from __future__ import annotations

import copy
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from cnntrain.assemble.checked import check_loaded
from cnntrain.config.from_python import try_to_load_given
from cnntrain.core.errors import CnntrainError, DivergedError
from cnntrain.data.batch import Batch
from cnntrain.fit.fit import fit
from cnntrain.fit.follow import follow
from cnntrain.model.opening import load
from cnntrain.optim import parameter_groups
from cnntrain.optim.optimizers.sgd import sgd
from cnntrain.optim.schedules.plateau import Plateau
from cnntrain.tasks.classification import CLASSIFICATION
from cnntrain.tasks.losses.binary_cross_entropy import binary_cross_entropy
from cnntrain.tasks.losses.cross_entropy import CrossEntropy
from cnntrain.tasks.multilabel import FindLabels
from cnntrain.tasks.targets import Targets
from cnntrain.train import (
    EarlyStop,
    Ema,
    EpochDone,
    EvalDone,
    Learner,
    Recipe,
    RunDone,
    Setback,
    StepDone,
    StopRequest,
    train,
)
from cnntrain.train.evaluation import evaluate as evaluate_any
from cnntrain.train.penalties.activation_l1 import activation_l1
from cnntrain.train.precision import undisturbed
from cnntrain.train.recalibrate import recalibrate
from cnntrain.train.step import forward_backward
from cnntrain.train.together import ALONE, Processes, joined

evaluate = partial(evaluate_any, task=CLASSIFICATION)

CLASSES = 4
RUN: dict[str, Any] = {
    "arch": {"layers": ["flatten", {"linear": {"out": 8}}, "batch_norm", "relu",
                        {"linear": {"out": "$num_classes"}}]},
    "data": {"name": "synthetic", "size": 8, "channels": 1, "classes": 3, "images": 96,
             "test_images": 30, "split": {"validation": 24}, "batch_size": 16,
             "eval_batch_size": 7},
    "train": {"epochs": 2, "recalibrate": True, "optimizer": {"name": "sgd", "lr": 0.05}},
    "record": {"tensorboard": False},
    "compute": {"device": "cpu", "threads": 1},
}  # fmt: skip
Found = dict[str, Any]


def build_net(*, norm: bool) -> nn.Sequential:
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Conv2d(1, 4, 3, padding=1, bias=False)]
    layers += [nn.BatchNorm2d(4)] if norm else []
    layers += [nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, CLASSES)]
    return nn.Sequential(*layers).double()


def build_learner(
    processes: Processes, *, norm: bool = False, ema: bool = False, penalised: bool = False
) -> Learner:
    net = build_net(norm=norm)
    penalties = [activation_l1(layers=("0", "2"), weight=0.1)] if penalised else []
    optimizer = sgd(groups=parameter_groups(net, weight_decay=1e-3), momentum=0.9)
    average = Ema(net, decay=0.9) if ema else None
    return Learner(net, optimizer, ema=average, processes=processes, penalties=penalties)


def build_images(count: int, *, seed: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(0, CLASSES, (count,), generator=generator)
    images = torch.randn(count, 1, 6, 6, generator=generator, dtype=torch.float64)
    images[torch.arange(count), 0, targets] += 1.5
    return images, targets


@dataclass
class Cut:
    """Shuffled batches of which each process gets its chunk; or whole batches, in turns."""

    images: Tensor
    targets: Tensor
    processes: Processes
    batch_size: int = 8
    in_turns: bool = False
    spoilt: dict[tuple[int, int], int] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return len(self.targets)

    @property
    def batches_per_epoch(self) -> int:
        return -(-self.size // self.batch_size)

    def images_in(self, batch: int) -> int:
        return min(self.batch_size, self.size - batch * self.batch_size)

    def batches(self, epoch: int, *, start: int = 0) -> Iterator[Batch]:
        order = torch.arange(self.size)
        if not self.in_turns:
            order = torch.randperm(self.size, generator=torch.Generator().manual_seed(epoch))
        index, count = self.processes.index, self.processes.count
        batches = list(enumerate(order.split(self.batch_size)))[start:]
        mine = [(n, rows) for n, rows in batches if n % count == index]
        for number, rows in (mine or batches[:1]) if self.in_turns else batches:
            images = self.images[rows]
            if (place := self.spoilt.get((epoch, number))) is not None:
                images[place] = torch.nan
            chunks = list(zip(images.chunk(count), self.targets[rows].chunk(count), strict=True))
            whole = self.in_turns or index >= len(chunks)  # then it does not count
            yield Batch(images, self.targets[rows]) if whole else Batch(*chunks[index])


def distance(ours: Any, theirs: Any) -> float:
    pairs = list(zip(ours, theirs, strict=True))
    with torch.no_grad():
        return max(float((exact(a) - exact(b)).abs().max()) for a, b in pairs)


def exact(value: Any) -> Tensor:
    return torch.as_tensor(value, dtype=torch.float64)


def one_step(
    processes: Processes,
    batch: Batch,
    criterion: CrossEntropy,
    *,
    accumulate: int = 1,
    norm: bool = False,
    penalised: bool = False,
) -> tuple[list[Tensor], Learner]:
    """Loss, objective, then the gradients."""
    learner = build_learner(processes, norm=norm, penalised=penalised)
    learner.share_gradients()
    images = len(batch.targets)
    chunks = [each.chunk(processes.count) for each in batch]
    here = batch
    if processes.index < len(chunks[0]):
        here = Batch(*(each[processes.index] for each in chunks))
    recipe = Recipe(epochs=1, lr=0.1, l1=1e-3, accumulate=accumulate)
    done = forward_backward(learner, here, criterion=criterion, recipe=recipe, images=images)
    return [done.loss, done.objective, *learner.gradients()], learner


def steps(processes: Processes) -> Found:
    """The gradient of a whole batch: uneven slices, none at all, weights, shares, parts."""
    weighted = CrossEntropy(weigh=lambda _: torch.tensor([0.2, 1.0, 3.0, 0.7]).double())
    found: Found = {}
    for size in (12, 11, 3, 1):
        images, targets = build_images(size)
        shares = images[:, 0, 0, :CLASSES].softmax(dim=1)
        for name, criterion in (
            ("plain", CrossEntropy(label_smoothing=0.1)),
            ("weights", weighted),
        ):
            for kind, wanted in (("classes", targets), ("shares", shares)):
                batch = Batch(images, wanted)
                penalised = name == "plain"
                alone, _ = one_step(ALONE, batch, criterion, penalised=penalised)
                for parts in (1, 2):
                    ours, _ = one_step(
                        processes, batch, criterion, accumulate=parts, penalised=penalised
                    )
                    key = f"{size} images, {name}, {kind}, {parts} parts"
                    found[key] = distance(ours, alone)
    return found


def normalised(processes: Processes) -> Found:
    """Each process normalises its slice, as one process does that has as many parts."""
    found: Found = {}
    for size in (12, 11, 7):
        batch = Batch(*build_images(size))
        alone, _ = one_step(ALONE, batch, CrossEntropy(), accumulate=processes.count, norm=True)
        ours, learner = one_step(processes, batch, CrossEntropy(), norm=True)
        found[f"{size} images"] = distance(ours, alone)
        # by hand: momentum 0.1 from mean 0 and variance 1; weighted by the images of each slice
        mean, variance = torch.zeros(4).double(), torch.ones(4).double()
        for part in batch.images.chunk(processes.count):
            values = build_net(norm=False)[0](part).transpose(0, 1).flatten(1)
            mean += 0.1 * len(part) / size * values.mean(dim=1)
            variance += len(part) / size * (0.1 * values.var(dim=1) - 0.1)
        norm = learner.model[1]
        found[f"statistics, {size} images"] = distance(
            [norm.running_mean, norm.running_var], [mean, variance]
        )
    return found


def course(processes: Processes, **changes: Any) -> tuple[Found, Learner]:
    """The figures of a training of two epochs with a last batch of five images."""
    images, held_out = build_images(37), build_images(21, seed=2)
    learner = build_learner(processes, norm=changes.pop("norm", False), ema=True)
    spoilt = changes.pop("spoilt", {})
    accumulate = changes.pop("parts", 1) if processes.is_alone else 1
    changes.pop("parts", None)
    recipe = Recipe(
        epochs=2,
        lr=0.1,
        plateau=Plateau(patience=1),
        early_stop=EarlyStop(patience=5),
        clip_norm=1.0,
        accumulate=accumulate,
        **changes,
    )
    found: Found = {"loss": [], "norm": [], "images": [], "train": [], "wrong": [], "skipped": []}
    found["setbacks"] = []
    for event in train(
        learner,
        recipe=recipe,
        criterion=CrossEntropy(label_smoothing=0.1),
        loader=Cut(*images, processes, spoilt=spoilt),
        validation=Cut(*held_out, processes, in_turns=True),
    ):
        if isinstance(event, StepDone):
            assert event.grad_norm is not None
            found["loss"].append(float(event.loss))
            found["norm"].append(float(event.grad_norm))
            found["images"].append(event.images)
            found["skipped"].append(0 if event.skipped is None else int(event.skipped))
        elif isinstance(event, EpochDone):
            found["train"].append(event.train_loss)
            found["wrong"].append(round(event.train_figures["error"] * event.images))
        elif isinstance(event, EvalDone):
            figures = event.metrics
            found["train"].append(figures.loss)
            found["wrong"].append(figures.images - figures.correct)  # type: ignore[attr-defined]
        elif isinstance(event, Setback):
            found["setbacks"].append(event.text)
    return found, learner


def trained(processes: Processes) -> Found:
    """The loss curve, the evaluations, the average and the weights after two epochs."""
    ours, learner = course(processes)
    alone, other = course(ALONE)
    every = dist_gather([value.sum() for value in learner.model.state_dict().values()])
    assert learner.ema is not None
    assert other.ema is not None
    return {
        "curve": distance(
            ours["loss"] + ours["train"] + ours["norm"],
            alone["loss"] + alone["train"] + alone["norm"],
        ),
        "counts": ours["wrong"] == alone["wrong"] and ours["images"] == alone["images"],
        "weights": distance(learner.model.parameters(), other.model.parameters()),
        "average": distance(learner.ema.model.parameters(), other.ema.model.parameters()),
        "alike": all(each == every[0] for each in every),
    }


def trained_with_norm(processes: Processes) -> Found:
    """The same with batch normalisation: as one process that normalises the same slices."""
    ours, learner = course(processes, norm=True)
    alone, _ = course(ALONE, norm=True, parts=processes.count)
    every = dist_gather([value.double().sum() for value in learner.model.state_dict().values()])
    return {
        "curve": distance(ours["loss"] + ours["norm"], alone["loss"] + alone["norm"]),
        "alike": all(each == every[0] for each in every),
    }


def dist_gather(value: Any) -> list[Any]:
    found: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(found, value)
    return found


def diverged(processes: Processes) -> Found:
    """Images that are not finite, in the slice of the last process only."""
    found: Found = {}
    spoilt = {(2, 1): 7}  # the last of the second batch of the second epoch
    for policy in ("stop", "skip", "rollback"):
        texts, curve = "", []
        try:
            ours, _ = course(processes, on_divergence=policy, spoilt=spoilt)
            texts, curve = "; ".join(ours["setbacks"]), ours["skipped"]
        except CnntrainError as error:
            texts = f"{type(error).__name__}: {error}"
        every = dist_gather((texts, curve))
        found[policy] = {
            "alike": all(each == every[0] for each in every),
            "text": texts,
            "skipped": sum(curve),
        }
    return found


def evaluated(processes: Processes) -> Found:
    """359 images in batches of 64, and fewer batches than processes."""
    found: Found = {}
    net = build_net(norm=True)
    for count, size in ((359, 64), (30, 64)):
        images = build_images(count, seed=3)
        together = Cut(*images, processes, batch_size=size, in_turns=True)
        stop = StopRequest(processes)
        ours = evaluate(net, together, criterion=CrossEntropy(), stop=stop)
        alone = evaluate(
            net, Cut(*images, ALONE, batch_size=size, in_turns=True), criterion=CrossEntropy()
        )
        assert ours is not None
        assert alone is not None
        wanted = (images[0][:, 0, 0, :CLASSES] > 0.5).float()
        judge = partial(
            evaluate_any,
            net,
            criterion=binary_cross_entropy(),
            task=FindLabels(targets=Targets("labels", tuple("abcd"))),
        )
        both = [
            judge(Cut(images[0], wanted, each, batch_size=size, in_turns=True), stop=asked)
            for each, asked in ((processes, stop), (ALONE, None))
        ]
        assert both[0] is not None
        assert both[1] is not None
        found[f"labels of {count}"] = {
            "images": both[0].images,
            "same": dict(both[0].figures) == dict(both[1].figures),
            "loss": abs(both[0].loss - both[1].loss),
        }
        found[str(count)] = {
            "images": ours.images,
            "same": torch.equal(ours.confusion, alone.confusion) and ours.top1 == alone.top1,  # type: ignore[attr-defined]
            "loss": abs(ours.loss - alone.loss),
        }
    spoilt = build_images(200, seed=3)
    spoilt[0][150] = torch.nan  # in the third batch, which is the first process's
    try:
        together = Cut(*spoilt, processes, batch_size=64, in_turns=True)
        evaluate(net, together, criterion=CrossEntropy(), stop=StopRequest(processes))
    except CnntrainError as error:
        found["not finite"] = str(error)
    return found


def stopped(processes: Processes) -> Found:
    """A request to the second process, in its third step, and in its evaluation."""
    found: Found = {}
    for when in (3, 5):  # an epoch has five steps: after the fifth comes the evaluation
        stop, last = StopRequest(processes), []
        learner = build_learner(processes)
        for event in train(
            learner,
            recipe=Recipe(epochs=2, lr=0.1),
            criterion=CrossEntropy(),
            loader=Cut(*build_images(37), processes),
            validation=Cut(*build_images(21), processes, in_turns=True),
            stop=stop,
        ):
            if isinstance(event, StepDone) and event.step == when and processes.index == 1:
                stop.request()
            if isinstance(event, RunDone):
                last = [event.reason, event.step, event.epoch]
        found[str(when)] = last
        found[f"alike {when}"] = all(each == last for each in dist_gather(last))
    return found


def recalibrated(processes: Processes) -> Found:
    """Statistics of the batches of both, of three; the last is smaller."""
    images = build_images(21)
    nets = []
    for each in (processes, ALONE):
        net = build_net(norm=True)
        recalibrate(net, Cut(*images, each, in_turns=True), processes=each)
        nets.append(net[1])
    ours, alone = nets
    return {
        "statistics": distance(
            [ours.running_mean, ours.running_var], [alone.running_mean, alone.running_var]
        ),
        "batches": [int(ours.num_batches_tracked), int(alone.num_batches_tracked)],
    }


def agreed(processes: Processes) -> Found:
    """Values that only one of them has."""
    mine = DivergedError("of the second", remedy="none") if processes.index else None
    error = processes.one_of(mine)
    net = build_net(norm=True)
    with torch.no_grad():
        net[1].running_mean.fill_(processes.index)
        net[0].weight.add_(processes.index)
    other = copy.deepcopy(build_net(norm=True))
    processes.copy_first(net.state_dict().values())
    return {
        "error": str(error),
        "largest": processes.largest(processes.index * 3),
        "first": processes.of_first("mine" if processes.is_first else None),
        "copied": distance([net[0].weight, net[1].running_mean], [other[0].weight, torch.zeros(4)]),
        "none": processes.one_of(None) is None,
    }


def whole_run(processes: Processes) -> Found:
    """A run from its folder to the test of its best weights, which have new statistics."""
    place = processes.of_first(tempfile.mkdtemp() if processes.is_first else "")
    checked = check_loaded(*try_to_load_given(RUN))
    run = Path(place) / "run"
    if not processes.is_first:
        return {"exit code": follow(checked, processes=processes)}
    outcome = fit(checked.loaded, out=run, silent=True, processes=processes)
    with undisturbed():
        metrics = load(run).evaluate("test").metrics
    assert outcome.test is not None
    found = {
        "exit code": outcome.exit_code,
        "files": sorted(file.name for file in (run / "checkpoints").glob("*.pt")),
        "figures": [metrics.images, metrics.figures["error"], metrics.loss],
        "recorded": [outcome.test.images, outcome.test.figures["error"], outcome.test.loss],
    }
    shutil.rmtree(place)
    return found


CLAIMS: tuple[Callable[[Processes], Found], ...] = (
    steps,
    normalised,
    trained,
    trained_with_norm,
    diverged,
    evaluated,
    stopped,
    recalibrated,
    agreed,
    whole_run,
)


if __name__ == "__main__":
    torch.set_num_threads(1)
    with joined() as all_of_them:
        found = json.dumps({claim.__name__: claim(all_of_them) for claim in CLAIMS})
    if len(sys.argv) > 1:  # two lines of this length mix on one standard output
        (Path(sys.argv[1]) / f"found-{os.environ['RANK']}.json").write_text(found)
    else:
        print(found)
