"""Each architecture against torchvision's model, or against what its paper says of it."""

from __future__ import annotations

import importlib
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from cnntrain.arch.plan import Plan
from cnntrain.arch.table import rows
from cnntrain.arch.table_text import times
from cnntrain.assemble.networks import make_network
from cnntrain.checkpoint.foreign import rename
from cnntrain.core.errors import CnntrainError, ConfigError
from cnntrain.data.batch import Batch
from cnntrain.export.onnx import PACKAGES, save_onnx
from cnntrain.export.program import trace
from cnntrain.export.reference import Reference
from cnntrain.optim import parameter_groups
from cnntrain.optim.optimizers.adamw import adamw
from cnntrain.tasks.losses.cross_entropy import CrossEntropy
from cnntrain.train import Learner, Recipe
from cnntrain.train.precision import Precision
from cnntrain.train.step import forward_backward, update
from trying.twins import (
    differing,
    empty_model,
    file_of,
    outputs,
    plan_of,
    random_model,
    rules_of,
    run,
    twin_of,
    with_versions,
    with_weights,
)

KNOWN = Path(__file__).parents[2] / "tests" / "archs" / "known.yaml"
BEGIN, END = "<!-- parity -->", "<!-- end -->"
SIDES = (64, 96, 128, 160, 192)
"""Pixels that are tried, if the architecture is for larger images; from 32 pixels a network that
halves them five times would have a last map of a single pixel, at which kernels are hardly used."""
ONNX_LIMIT = 1e-5
LEAST_SPREAD = 0.01
LINES = 80
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")


def examine_all(names: Sequence[str], file: Path) -> list[str]:
    """Each in a process of its own, which frees its memory; what failed is returned.

    The processes are forks of this one, which has imported everything and has no other threads.
    """
    torch.set_num_threads(1)
    for module in ("torch._dynamo", "torch.onnx._internal.exporter._core", *PACKAGES):
        importlib.import_module(module)
    failed = []
    for name in names:
        child = multiprocessing.get_context("fork").Process(target=_in_fork, args=(name, file))
        child.start()
        child.join()
        if child.exitcode:
            failed.append(name)
    return failed


def _in_fork(name: str, file: Path) -> None:
    sys.exit(0 if examine(name, file) else 1)


def examine(name: str, file: Path) -> bool:
    """Compare one architecture, and add what was found to a JSON file."""
    began = time.perf_counter()
    found: dict[str, Any] = {"failed": []}
    with torch.random.fork_rng(devices=[]):
        for part in _examine(name):
            found["failed"] += part.pop("failed", [])
            found |= part
    found["seconds"] = round(time.perf_counter() - began, 1)
    results = json.loads(file.read_text("utf-8")) if file.exists() else {}
    results[name] = found
    file.write_text(json.dumps(dict(sorted(results.items())), indent=1) + "\n", "utf-8")
    print(f"{name}: {'; '.join(found['failed']) or 'equal'}", file=sys.stderr, flush=True)
    return not found["failed"]


def _examine(name: str) -> Iterator[dict[str, Any]]:
    plan = plan_of(name)
    model = twin_of(name)
    yield _counts(name, plan, model)
    yield _text(name, plan)
    small = _small(name, plan)
    yield {"image": times(small.body.in_shape)}
    if model is not None:
        yield _from_theirs(name, small, model)
        yield _from_ours(name, small, model)
    for precision in PRECISIONS:
        yield _step(small, precision)
    yield _onnx(small)


def _small(name: str, plan: Plan) -> Plan:
    """The same network for small images, if it has the same weights there."""
    for side in SIDES:
        if side < min(plan.body.in_shape[1:]):
            with suppress(ConfigError):
                small = plan_of(name, side=side)
                if small.parameters == plan.parameters:
                    return small
    return plan


def _counts(name: str, plan: Plan, model: str | None) -> dict[str, Any]:
    """Parameters and multiply-adds at the size that the architecture is for."""
    if model is None:
        known = yaml.safe_load(KNOWN.read_text("utf-8"))[name]
        sums = [str(known[key]) for key in ("parameters", "multiply_adds")]
        expected = [eval(text) for text in sums]  # nothing but sums of integers
        against = known["source"]
    else:
        theirs = empty_model(model).eval().to("meta")
        images = torch.empty(1, *plan.body.in_shape, device="meta")
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            theirs(images)
        count = sum(parameter.numel() for parameter in theirs.parameters())
        expected = [count, counter.get_total_flops() // 2]
        against = f"torchvision's {model}"
    found = {"parameters": plan.parameters, "multiply_adds": plan.multiply_adds}
    differences = [mine - other for mine, other in zip(found.values(), expected, strict=True)]
    return {
        "against": against,
        "size": times(plan.body.in_shape),
        **found,
        "differences": differences,
        "failed": [f"counts differ by {differences}"] if any(differences) else [],
    }


def _text(name: str, plan: Plan) -> dict[str, Any]:
    """Lines of the file, and what `cnntrain summary` says the deepest units see."""
    lines = len(file_of(name).read_text("utf-8").splitlines())
    fields = {row.receptive_field: row.name for row in reversed(rows(plan)) if row.depth == 0}
    largest = max((field for field in fields if isinstance(field, tuple)), default=None)
    sees = f"{times(largest)} in {fields[largest]}" if largest else "the image"
    return {
        "lines": lines,
        "sees": sees,
        "failed": [f"{lines} lines of YAML"] if lines > LINES else [],
    }


def _images(plan: Plan) -> Tensor:
    return torch.randn(2, *plan.body.in_shape, generator=torch.Generator().manual_seed(0))


def _from_theirs(name: str, plan: Plan, model: str) -> dict[str, Any]:
    """torchvision's weights in our network: logits, gradients, running averages, and back."""
    rules, theirs, images = rules_of(name), random_model(model), _images(plan)
    net = with_weights(plan, rename(theirs.state_dict(), rules, reverse=True))
    failed = []
    for training in (False, True):
        mode = "training" if training else "evaluation"
        (mine, gradients), (expected, their_gradients) = (
            run(each.train(training), images) for each in (net, theirs)
        )
        same = [torch.equal(one, other) for one, other in zip(mine, expected, strict=True)]
        if not all(same) or not min(float(each.std()) for each in expected) > 1e-3:
            failed.append(f"other logits in {mode}")
        if wrong := differing(rename(gradients, rules), their_gradients):
            failed.append(f"other gradients in {mode}: {', '.join(wrong[:3])}")
    if wrong := differing(rename(net.state_dict(), rules), theirs.state_dict()):
        failed.append(f"other running averages: {', '.join(wrong[:3])}")
    return {"heads": len(mine) - 1, "from_theirs": not failed, "failed": failed}


def _from_ours(name: str, plan: Plan, model: str) -> dict[str, Any]:
    """Our initial weights in torchvision's model, strictly."""
    rules, net, theirs = (
        rules_of(name),
        make_network(plan, seed=1).eval(),
        empty_model(model).eval(),
    )
    state = rename(net.state_dict(), rules)
    theirs.load_state_dict(with_versions(state, theirs.state_dict()), strict=True)
    with torch.no_grad():
        [mine], [expected] = (outputs(each, _images(plan)) for each in (net, theirs))
    same = torch.equal(mine, expected) and bool(mine.isfinite().all())
    return {"from_ours": same, "failed": [] if same else ["our weights give torchvision others"]}


def _step(plan: Plan, precision: Precision) -> dict[str, Any]:
    """One step of AdamW from the initial weights; all of it must be finite."""
    net = make_network(plan, seed=0).train()
    learner = Learner(net, adamw(groups=parameter_groups(net)), precision=precision)
    recipe = Recipe(epochs=1, lr=3e-4, norm_every=0)
    torch.manual_seed(0)
    outcome = forward_backward(
        learner, Batch(_images(plan), torch.arange(2)), criterion=CrossEntropy(), recipe=recipe
    )
    gradients = [p.grad for p in net.parameters() if p.grad is not None]
    finite = all(bool(each.isfinite().all()) for each in [outcome.loss, *gradients])
    before = [parameter.detach().clone() for parameter in net.parameters()]
    update(learner, outcome, recipe=recipe)
    after = list(net.parameters())
    finite &= all(bool(each.isfinite().all()) for each in after)
    moved = any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
    failed = [] if finite and moved else [f"a step in {precision}: finite {finite}, moved {moved}"]
    return {precision: float(outcome.loss), "failed": failed}


def _onnx(plan: Plan) -> dict[str, Any]:
    """The largest difference of a logit in onnxruntime, relative to the largest logit.

    With initial weights, because others can make float32 itself less exact than the limit; where
    with those the logits hardly depend on the image, convolutions get Kaiming's.
    """
    net, images = make_network(plan, seed=0).eval(), _images(plan)
    with torch.no_grad():
        if _spread(net(images)) < LEAST_SPREAD:
            for module in net.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight)
        reference = Reference(images, net(images))
    program = trace(net, in_shape=plan.body.in_shape)
    weights = sum(t.numel() * t.element_size() for t in net.state_dict().values())
    with tempfile.TemporaryDirectory() as folder:
        try:
            absolute = save_onnx(
                program,
                Path(folder) / "n.onnx",
                text="",
                output="logits",
                reference=reference,
                weights=weights,
            )
        except CnntrainError as error:
            return {"onnx": None, "failed": [str(error)]}
    difference = absolute / float(reference.logits.abs().max())
    # the second also where the logits still hardly depend on the image: that part must be right
    right = difference <= ONNX_LIMIT and difference <= _spread(reference.logits) / 100
    failed = [] if right else [f"ONNX differs by {difference:.1e}"]
    return {"onnx": difference, "failed": failed}


def _spread(logits: Tensor) -> float:
    """How much the logits of two images differ, relative to the largest."""
    return float((logits[0] - logits[1]).abs().max() / logits.abs().max())


def write_page(page: Path, file: Path) -> None:
    """Put the results of a JSON file as a table between the two marks of a page."""
    before, mark, rest = page.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (mark and end):
        raise SystemExit(f"{page} has no `{BEGIN}` and `{END}`")
    table = "\n".join(_table(json.loads(file.read_text("utf-8"))))
    page.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}", "utf-8")


def _table(results: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield (
        "| architecture | compared with | parameters | multiply-adds | differences | logits | "
        "step: float32 | bfloat16 | ONNX | sees | lines |"
    )
    yield "|---|---|--:|--:|--:|---|--:|--:|--:|---|--:|"
    for name, found in results.items():
        both = [found[key] for key in ("from_theirs", "from_ours") if key in found]
        logits = f"{'equal' if all(both) else 'differ'} ({found['image']})" if both else ""
        cells = [
            name,
            found["against"],
            f"{found['parameters']:,}",
            f"{found['multiply_adds']:,} ({found['size']})",
            ", ".join(map(str, found["differences"])),
            logits,
            f"{found['float32']:.4f}",
            f"{found['bfloat16']:.4f}",
            "fails" if found["onnx"] is None else f"{found['onnx']:.0e}",
            found["sees"],
            str(found["lines"]),
        ]
        yield f"| {' | '.join(cells)} |"
