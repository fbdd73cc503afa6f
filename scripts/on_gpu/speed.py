"""Images per second of cnntrain's loop next to a bare loop, and the peaks of the machine itself.

The bare loop is forward, loss, backward and step over one batch that lies ready on the device:
same network, batch, precision, layout and fused optimizer, and nothing else. cnntrain's is its
loader with augmentation, its step and its sums, without records. They take turns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice

import torch
from torch import nn

from cnntrain.arch.plan import Plan
from cnntrain.assemble.needed_memory import needed_memory
from cnntrain.assemble.networks import make_network, plan_network
from cnntrain.config.load import load_text
from cnntrain.config.loaded import Loaded
from cnntrain.data.batch import Batch, Batching
from cnntrain.data.loaders import make_loader, make_pipelines
from cnntrain.data.splits import Pixels
from cnntrain.optim import parameter_groups, set_learning_rate
from cnntrain.optim.optimizers.sgd import sgd
from cnntrain.tasks.losses.cross_entropy import CrossEntropy
from cnntrain.train import Learner, Precision, Recipe, StepDone, train
from cnntrain.train.precision import autocast
from on_gpu.cases import CONFIGS
from on_gpu.device import is_channels_last, middle, place, rates, timed
from on_gpu.report import Figures, Piece, rounded
from on_gpu.training import NEVER, Endless

RATE = 1e-3
"""Small: the weights must stay finite, and nothing is learnt here."""


@dataclass(frozen=True)
class Job:
    """What is trained.

    Args:
        arch: a shipped architecture.
        side: of the images.
        batch: images in it.
        channels: of the images.
        classes: outputs.
        crop: whether 4 pixels of padding and a random crop are part of the augmentation.
        target: images per second on one H200, that are expected of bfloat16.
        steps: in a turn.
    """

    arch: str
    side: int
    batch: int
    channels: int = 3
    classes: int = 1000
    crop: bool = False
    target: int | None = None
    steps: int = 10


JOBS = (
    Job("lenet5", 28, 64, 1, 10, steps=100),
    Job("lenet300", 28, 256, 1, 10, steps=100),
    Job("resnet20", 32, 128, 3, 10, True, steps=50),
    Job("resnet9", 32, 512, 3, 10, True, steps=20),
    Job("sprint", 32, 1024, 3, 10, True, steps=20),
    Job("preact_resnet18", 32, 512, 3, 10, True, 55_000, steps=20),
    Job("resnet50", 224, 256, target=6_500),
    Job("alexnet", 227, 128, target=45_000, steps=20),
    Job("vgg_d", 224, 128, target=5_200),
    Job("googlenet", 224, 256, target=18_000),
    Job("resnet18", 224, 256, target=24_000),
    Job("resnet34", 224, 256, target=14_000),
)
SMALL = Job("lenet5", 28, 8, 1, 10, steps=2)
"""Of a rehearsal."""


def pieces(device: torch.device, *, is_rehearsal: bool) -> Iterator[Piece]:
    """Each job in bfloat16, and in float32 where that is not too slow."""
    if is_rehearsal:
        yield Piece("lenet5 float32", partial(compare, SMALL, "float32", device=device, turns=2))
        return
    for job in JOBS:
        yield Piece(f"{job.arch} bfloat16", partial(compare, job, "bfloat16", device=device))
    for job in JOBS[:6]:
        yield Piece(f"{job.arch} float32", partial(compare, job, "float32", device=device))


def compare(job: Job, precision: Precision, *, device: torch.device, turns: int = 5) -> Figures:
    """Both loops in turns; the peak of the device's memory, and what was expected of it."""
    loaded, plan = planned(job, precision)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    steps = ours(job, plan, precision, device=device)
    bare = _bare(job, plan, precision, device=device)

    def one() -> None:
        for _ in islice(steps, job.steps):
            pass

    def theirs() -> None:
        for _ in range(job.steps):
            bare()

    found = rates({"cnntrain": one, "bare": theirs}, device=device, turns=turns, warm=2)
    images = job.batch * job.steps
    pairs = zip(found["bare"], found["cnntrain"], strict=True)
    ratios = sorted(slow / fast for slow, fast in pairs)
    result: Figures = {
        "images_per_second": rounded(images / middle(found["cnntrain"])),
        "bare_images_per_second": rounded(images / middle(found["bare"])),
        "share_of_bare": rounded(middle(ratios), 3),
        "from_to": [rounded(ratios[0], 3), rounded(ratios[-1], 3)],
        "microseconds_over_bare": rounded(
            1e6 * (middle(found["cnntrain"]) - middle(found["bare"])) / job.steps, 3
        ),
    }
    if job.target and precision == "bfloat16":
        result["target"] = job.target
    if device.type == "cuda":
        result["peak_memory_bytes"] = torch.cuda.max_memory_allocated(device)
        result["expected_memory_bytes"] = needed_memory(loaded, plan, device=device).total
    return result


def planned(job: Job, precision: Precision) -> tuple[Loaded, Plan]:
    """Its run file, and the plan of its network."""
    text = f"""
arch: archs/{job.arch}.yaml
compute: {{precision: {precision}}}
data: {{name: synthetic, size: {job.side}, channels: {job.channels}, classes: {job.classes},
       batch_size: {job.batch}}}
train: {{epochs: 1, optimizer: {{name: sgd, lr: {RATE}, momentum: 0.9, weight_decay: 5e-4}}}}
"""
    loaded = load_text(text, file=CONFIGS / "timed.yaml")
    return loaded, plan_network(loaded)


def _parts(
    plan: Plan, precision: Precision, device: torch.device
) -> tuple[nn.Module, torch.optim.Optimizer]:
    net = place(make_network(plan, seed=0), precision=precision, device=device)
    return net, sgd(groups=parameter_groups(net, weight_decay=5e-4), momentum=0.9)


def _batching(job: Job, precision: Precision, device: torch.device) -> Batching:
    last = is_channels_last(precision, device)
    return Batching(job.batch, shuffle=True, drop_last=True, device=device, channels_last=last)


def _batches(job: Job, precision: Precision, device: torch.device) -> Endless:
    """Images in the device's memory, augmented as in training on CIFAR or on photographs."""
    shape = (4 * job.batch, job.channels, job.side, job.side)
    numbers = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=numbers)
    pixels = Pixels(images, torch.arange(len(images)) % job.classes)
    scaling = {"name": "normalize", "mean": [0.5] * job.channels, "std": [0.25] * job.channels}
    crop = [{"name": "random_crop", "size": job.side, "padding": 4}] if job.crop else []
    flip = [{"name": "horizontal_flip"}] if job.channels == 3 else []
    pipeline = make_pipelines({"train": (*crop, *flip, scaling)})["train"]
    loader = make_loader(pixels, pipeline, name="train", memory="resident", workers=0,
                         batching=_batching(job, precision, device))  # fmt: skip
    return Endless(loader, loader)


def ours(
    job: Job,
    plan: Plan,
    precision: Precision,
    *,
    device: torch.device,
    cuda_graphs: bool = False,
) -> Iterator[StepDone]:
    """The steps of cnntrain's loop, without end."""
    net, optimizer = _parts(plan, precision, device)
    events = train(
        Learner(net, optimizer, precision=precision),
        recipe=Recipe(epochs=1, lr=RATE, norm_every=0, check_every=NEVER, cuda_graphs=cuda_graphs),
        criterion=CrossEntropy(weigh=lambda _: None),
        loader=_batches(job, precision, device),
    )
    return (event for event in events if isinstance(event, StepDone))


def _bare(
    job: Job, plan: Plan, precision: Precision, *, device: torch.device
) -> Callable[[], None]:
    net, optimizer = _parts(plan, precision, device)
    net.train()
    set_learning_rate(optimizer, RATE)
    batch: Batch = next(iter(_batches(job, precision, device).batches(1)))
    weights = getattr(net, "aux_weights", ())

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with autocast(precision, device):
            outputs = net(batch.images)
        logits, heads = outputs if isinstance(outputs, tuple) else (outputs, ())
        loss = nn.functional.cross_entropy(logits.float(), batch.targets)
        for weight, head in zip(weights, heads, strict=True):
            loss = loss + weight * nn.functional.cross_entropy(head.float(), batch.targets)
        loss.backward()
        optimizer.step()

    return step


def peaks(device: torch.device, *, is_rehearsal: bool) -> Iterator[Piece]:
    """What the machine does at best: products, copies on the device, copies to it."""
    size = 256 if is_rehearsal else 8192
    for name in ("float32", "bfloat16", "float16"):
        yield Piece(f"product {name}", partial(_product, size, name, device=device))
    yield Piece("copies", partial(_copies, 2**20 if is_rehearsal else 2**30, device=device))


def _product(size: int, name: str, *, device: torch.device) -> Figures:
    left, right = (torch.randn(size, size, device=device).to(getattr(torch, name)) for _ in "ab")
    seconds = [timed(lambda: left @ right, device=device) for _ in range(8)][3:]
    return {"tflops": rounded(2 * size**3 / middle(seconds) / 1e12)}


def _copies(count: int, *, device: torch.device) -> Figures:
    here = torch.zeros(count, dtype=torch.uint8)
    here = here.pin_memory() if device.type == "cuda" else here
    there = here.to(device)
    inside = [timed(there.clone, device=device) for _ in range(8)][3:]
    across = [timed(lambda: there.copy_(here, non_blocking=True), device=device) for _ in range(8)][
        3:
    ]
    return {
        "gigabytes_per_second_inside": rounded(2 * count / middle(inside) / 1e9),
        "gigabytes_per_second_to_it": rounded(count / middle(across) / 1e9),
    }
