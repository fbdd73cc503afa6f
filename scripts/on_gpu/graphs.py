"""Steps as CUDA graphs next to ordinary ones: the same losses and weights, and how much faster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import islice

import torch

from cnntrain.assemble.prepare import prepare
from cnntrain.config.load import load_text
from cnntrain.train import Precision, StepDone, graphed, train
from on_gpu.agreement import same_bits
from on_gpu.cases import CONFIGS
from on_gpu.device import middle, no_waiting, rates
from on_gpu.report import Figures, Piece, rounded
from on_gpu.speed import JOBS, SMALL, Job, ours, planned
from on_gpu.tape import Tape

CLOSE = 1e-3
"""Largest relative difference of a loss from that of the ordinary step: as far as kernels that add
in another order lead in so few steps; the figures also say whether all bits are the same."""
LESSONS = {
    "momentum": "optimizer: {name: sgd, lr: 0.0625, nesterov: true}",
    "adam, average": "optimizer: {name: adam, lr: 0.0009765625}, ema: {decay: 0.9}",
    "clipping, parts": "optimizer: {name: sgd, lr: 0.0625}, clip_norm: 1.0, accumulate: 2",
    "class weights": "loss: {name: cross_entropy, class_weights: balanced}",
    "skipping": "on_divergence: skip",
}
"""Rates are powers of two: a float32 on the device is the same number."""
RUN = """
arch:
  layers:
    - conv: {{out: 8, kernel: 3, padding: same}}
    - batch_norm
    - relu
    - max_pool
    - flatten
    - dropout: {{p: 0.3}}
    - linear: {{out: $num_classes}}
compute: {{deterministic: true, device: {device}, precision: {precision}}}
data:
  name: digits
  batch_size: 64
  transforms: {{train: [{{affine: {{rotate: 10}}}}, normalize]}}
train: {{epochs: 4, {lesson}}}
record: {{tensorboard: false}}
"""
SPEED = [job for job in JOBS if job.arch in ("lenet5", "lenet300", "resnet20", "resnet9")]


def pieces(device: torch.device, *, is_rehearsal: bool) -> Iterator[Piece]:
    """The same lessons in two ways, then resumed ones, then speed."""
    precisions: tuple[Precision, ...] = ("float32", "bfloat16", "float16")
    for precision in precisions[:1] if is_rehearsal else precisions:
        for name in list(LESSONS)[: 2 if is_rehearsal else None]:
            work = partial(same_losses, name, precision, device=device)
            yield Piece(f"{name} {precision}", work)
    if is_rehearsal:
        yield Piece("speed lenet5", partial(faster, SMALL, "float32", device=device, turns=2))
        return
    for name in ("momentum", "adam, average"):
        text = RUN.format(device="cuda", precision="float32", lesson=LESSONS[name])
        text = text.replace("deterministic: true", "cuda_graphs: true")
        yield Piece(
            f"resumed, {name}", partial(same_bits, text, precision="float32", device=device)
        )
    for job in SPEED:
        for precision in ("bfloat16", "float32"):
            yield Piece(
                f"speed {job.arch} {precision}", partial(faster, job, precision, device=device)
            )


@contextmanager
def graphs_on(device: torch.device) -> Iterator[None]:
    """In a rehearsal a tape stands for a graph."""
    real = graphed.CudaGraph
    try:
        if device.type != "cuda":
            graphed.CudaGraph = Tape  # type: ignore[assignment,misc]
        yield
    finally:
        graphed.CudaGraph = real  # type: ignore[misc]


def same_losses(name: str, precision: Precision, *, device: torch.device) -> Figures:
    """Losses of each step, and the weights at the end, with graphs and without."""
    text = RUN.format(device=device.type, precision=precision, lesson=LESSONS[name])
    found = []
    with graphs_on(device):
        for is_graphed in (False, True):
            prepared = prepare(load_text(text, file=CONFIGS / "checked.yaml"))
            recipe = replace(prepared.recipe, cuda_graphs=is_graphed)
            events = train(
                prepared.learner,
                recipe=recipe,
                criterion=prepared.criterion,
                loader=prepared.data.train,
            )
            losses = [event.loss for event in events if isinstance(event, StepDone)]
            weights = torch.cat([each.detach().flatten() for each in prepared.learner.parameters()])
            found.append((torch.stack(losses).double().cpu(), weights.cpu()))
            prepared.data.close()
    (plain, there), (graph, here) = found
    apart = float(((plain - graph).abs() / plain.abs().clamp(min=1e-3)).max())
    return {
        "ok": apart <= CLOSE,
        "largest_difference": rounded(apart),
        "same_bits": bool(torch.equal(plain, graph) and torch.equal(there, here)),
        "steps": len(plain),
    }


def faster(job: Job, precision: Precision, *, device: torch.device, turns: int = 5) -> Figures:
    """Images per second both ways, in turns; after the capture nothing waits."""
    _, plan = planned(job, precision)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    with graphs_on(device):
        ways = {
            name: ours(job, plan, precision, device=device, cuda_graphs=name == "graphed")
            for name in ("graphed", "ordinary")
        }
        for steps in ways.values():  # the augmented batches, the warm-up and the capture
            next(islice(steps, 19, None))
        with no_waiting(device):
            next(islice(ways["graphed"], 4, None))

        def some(name: str) -> None:
            next(islice(ways[name], job.steps - 1, None))

        found = rates(
            {name: partial(some, name) for name in ways}, device=device, turns=turns, warm=1
        )
    images = job.batch * job.steps
    pairs = zip(found["ordinary"], found["graphed"], strict=True)
    ratios = sorted(slow / fast for slow, fast in pairs)
    result: Figures = {
        f"{name}_images_per_second": rounded(images / middle(seconds))
        for name, seconds in found.items()
    }
    result["times_as_fast"] = rounded(middle(ratios), 3)
    result["from_to"] = [rounded(ratios[0], 3), rounded(ratios[-1], 3)]
    if device.type == "cuda":
        result["peak_memory_bytes"] = torch.cuda.max_memory_allocated(device)
    return result
