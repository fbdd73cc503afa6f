"""Check `substitution`: what makes the difference is accused, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cnntrain.assemble.prepare import prepare
from cnntrain.config.load import load
from cnntrain.data.batch import Batch
from cnntrain.diagnose import small_net
from cnntrain.diagnose.checks.substitution import check_substitution
from cnntrain.diagnose.diagnose import conclude
from cnntrain.diagnose.doubts import of_remedy, usual_rate
from cnntrain.diagnose.neighbours import Sample
from cnntrain.diagnose.replacing import Far, Miniature, Replaced, accused
from cnntrain.diagnose.report import Finding, Report
from cnntrain.diagnose.setup import open_patient
from cnntrain.diagnose.substitutes import DOUBTED, LAST, Substitute, substitutes_for, transforms_for
from cnntrain.diagnose.variants import Trial, opener_of
from cnntrain.train import undisturbed
from cnntrain.train.recipe import Freezing
from tests.diagnose.conftest import blobs, convnet, method

RunFile = Callable[..., Path]

BATCHES = [blobs(32, seed=seed) for seed in range(20)]
REMOVED = Substitute("'noise1'", "without", "harmful_layer", ("x=1",), ("noise1",))
MILDER = Substitute("`y: 3`", "with 2 (as usual) in place of", "harmful_setting", ("y=2",))
REFUSED = Substitute("'z'", "without", "harmful_layer", ("z=1",), ("z",))
IMAGES = Substitute("`resize`", "without", "harmful_setting", ("data.transforms.eval=[]",))


class Noise(nn.Module):
    """Nothing of what it reads is left."""

    def forward(self, x: Tensor) -> Tensor:
        return x + 1000 * torch.randn_like(x)


@dataclass(frozen=True)
class Opening:
    """What a run file with overrides would be."""

    net: nn.Module
    other: Sample | None = None

    def trial(self) -> Trial:
        return Trial(self.net, BATCHES, method())

    def samples(self) -> tuple[Sample, Sample] | None:
        return None if self.other is None else (split("train", 1), self.other)


def split(name: str, seed: int) -> Sample:
    return Sample(name, *blobs(200, seed=seed))


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small_net, "STEPS", 60)


def check(net: nn.Module, **given: Any) -> Report:
    usual: dict[str, Any] = {
        "net": net,
        "augmented": BATCHES,
        "method": method(),
        "train": split("train", 1),
        "other": split("validation", 2),
        "shares": (1.0,) * 60,
        "substitutes": (),
        "transforms": (),
        "open_trial": lambda _: None,
        "class_names": ("a", "b", "c", "d"),
        "recipe_steps": 60,
    }
    return check_substitution(**usual | given)


def opens(*good: str, noisy: nn.Module) -> Callable[[tuple[str, ...]], Opening | None]:
    """With one of these overrides the network is a good one; `z=1` is refused."""

    def opened(overrides: tuple[str, ...]) -> Opening | None:
        if overrides == ("z=1",):
            return None
        return Opening(convnet() if set(overrides) & set(good) else noisy)

    return opened


def noisy_net() -> nn.Module:
    return convnet(act1=Noise())


def test_the_layer_without_which_it_learns_is_named() -> None:
    noisy = noisy_net()
    every = (MILDER, REMOVED, REFUSED)
    report = check(noisy, substitutes=every, open_trial=opens("x=1", noisy=noisy))
    (finding,) = report.findings
    assert finding.fault == "harmful_layer"
    assert finding.overrides == ("x=1",)
    assert finding.layers == ("noise1",)
    assert "far better without 'noise1'" in finding.headline
    own, mild, removed = report.tables[0].rows  # what is refused is not there
    assert removed[1] == removed[2] == 0.0  # tried twice
    assert mild[2] is None
    assert own[1] > 0.5
    assert own[2] > 0.5


def test_a_network_that_learns_is_not_searched() -> None:
    def never(_: Any) -> None:
        raise AssertionError

    report = check(convnet(), substitutes=(REMOVED,), open_trial=never)
    assert report.findings == ()
    assert report.applies


def test_where_nothing_helps_nothing_is_accused() -> None:
    noisy = noisy_net()
    report = check(noisy, substitutes=(REMOVED, MILDER), open_trial=opens(noisy=noisy))
    assert report.findings == ()
    assert len(report.tables[0].rows) == 3


def test_a_remedy_that_mends_needs_no_other() -> None:
    noisy = noisy_net()
    cause = Finding("exploding_activations", "", "", "", overrides=("mended=1",))
    opened = opens("x=1", "mended=1", noisy=noisy)
    report = check(noisy, substitutes=(REMOVED,), open_trial=opened, causes=(cause,))
    assert report.findings == ()
    assert "with `-s mended=1`: 0%" in report.headline


def test_a_remedy_that_does_not_mend_gives_way_to_one_that_does() -> None:
    noisy = noisy_net()
    cause = Finding("exploding_activations", "loud", "", "paste it", overrides=("mended=1",))
    opened = opens("x=1", noisy=noisy)
    report = check(noisy, substitutes=(REMOVED,), open_trial=opened, causes=(cause,))
    both = [Report("initial", "", (cause,)), report]
    (finding,) = conclude(both).findings
    assert finding.fault == "exploding_activations"
    assert finding.overrides == ("x=1",)
    assert "without 'noise1'" in finding.remedy


def test_what_is_tried_last_is_tried_where_nothing_else_is_found() -> None:
    noisy, last = noisy_net(), replace(MILDER, is_last=True)
    every = (last, REMOVED)
    report = check(noisy, substitutes=every, open_trial=opens("x=1", "y=2", noisy=noisy))
    assert "without 'noise1'" in report.headline
    assert len(report.tables[0].rows) == 2
    (finding,) = check(noisy, substitutes=every, open_trial=opens("y=2", noisy=noisy)).findings
    assert finding.overrides == ("y=2",)


def test_what_is_tried_last_is_tried_where_only_the_rate_looks_wrong() -> None:
    """It is accused if it does far more than another rate."""
    noisy, last = noisy_net(), replace(MILDER, is_last=True)
    rate = Finding("rate_too_high", "high", "", "", overrides=("rate=1",))
    given = {"substitutes": (last,), "causes": (rate,)}
    report = check(noisy, open_trial=opens("y=2", noisy=noisy), **given)
    assert [found.overrides for found in report.findings] == [("y=2",)]
    assert report.refutes == ("rate_too_high",)
    assert not check(noisy, open_trial=opens("y=2", "rate=1", noisy=noisy), **given).findings
    given["causes"] = (replace(rate, fault="dead_units"),)
    assert not check(noisy, open_trial=opens("y=2", noisy=noisy), **given).findings


def test_a_change_of_what_evaluation_sees_is_judged_on_what_it_sees(run_file: RunFile) -> None:
    """Of a trial with overrides of these transforms, and of no other."""
    prepared = prepare(load(run_file({})))
    opened = opener_of(prepared, lambda: BATCHES, steps=1, size_of=lambda batch: min(batch, 8))
    for override, is_other in (("data.transforms.eval=[normalize]", True), ("train.l1=0.1", False)):
        variant = opened((override,))
        assert variant is not None
        assert (variant.trial().seen is not None) is is_other


def test_a_trial_is_judged_on_its_own_images() -> None:
    good, flat = split("validation", 2), split("validation", 2)
    flat = replace(flat, images=torch.zeros_like(flat.images))
    mini = Miniature(split("train", 1), flat, 60, 60, 0)
    trial = Trial(convnet(), BATCHES, method())
    assert mini.error(trial, again=False) > 0.5
    assert mini.error(replace(trial, seen=(split("train", 1), good)), again=False) == 0.0


def test_a_transform_that_spoils_all_images_is_named() -> None:
    good = split("validation", 2)
    flat = replace(good, images=torch.zeros_like(good.images))
    report = check(
        convnet(), other=flat, transforms=(IMAGES,), open_trial=lambda _: Opening(convnet(), good)
    )
    (finding,) = report.findings
    assert finding.fault == "harmful_setting"
    assert "without `resize`" in finding.headline


@pytest.mark.parametrize(
    "change",
    [{"other": None}, {"train": Sample("train", torch.zeros(4, 1, 8, 8), torch.zeros(4, 2))}],
)
def test_what_cannot_be_judged_is_said(change: dict[str, Any]) -> None:
    assert not check(convnet(), **change).applies


def test_nothing_is_tried_where_the_data_are_wrong() -> None:
    report = check(noisy_net(), causes=(Finding("labels_noisy", "the labels are wrong", "", ""),))
    assert not report.applies
    assert report.headline == "not tried, since the labels are wrong"


@pytest.mark.parametrize(("fault", "applies"), [("misread_pixels", True), ("not_finite", False)])
def test_a_transform_that_makes_images_look_misread_is_named(fault: str, applies: bool) -> None:
    """Without it they are learnt: so the files are right."""
    good = split("validation", 2)
    flat = replace(good, images=torch.zeros_like(good.images))
    cause = Finding(fault, "they look like noise", "", "")
    report = check(
        convnet(),
        other=flat,
        transforms=(IMAGES,),
        open_trial=lambda _: Opening(convnet(), good),
        causes=(cause,),
    )
    assert report.applies == applies
    found = conclude([Report("data", "", (cause,)), report]).findings
    assert [each.fault for each in found] == ["harmful_setting" if applies else "not_finite"]


def test_of_equals_the_innermost_is_accused() -> None:
    """Of a block that holds the layer, and the layer, the layer."""
    outer = replace(REMOVED, layers=("block",))
    inner = replace(REMOVED, layers=("block.noise",))
    rows = [
        Replaced(None, (0.8, 0.8)),
        *(Replaced(each, (0.1, 0.1)) for each in (outer, inner, outer)),
        Replaced(MILDER, (0.0, 0.7)),  # once is chance
    ]
    best = accused(rows, Far(0.75, 0.0, 400))
    assert best is not None
    assert best.substitute is inner


@pytest.mark.parametrize(
    ("own", "changed", "is_accused"),
    [
        ((0.80, 0.80), (0.70, 0.10), True),  # slow, and then far better
        ((0.80, 0.15), (0.70, 0.01), False),  # slow, and both learn
        ((0.80, 0.60), (0.20, 0.50), False),  # soon, and then caught up with
    ],
)
def test_what_shows_late(
    own: tuple[float, ...], changed: tuple[float, ...], is_accused: bool
) -> None:
    rows = [Replaced(None, own), Replaced(REMOVED, changed)]
    assert (accused(rows, Far(0.75, 0.0, 400)) is not None) is is_accused


@pytest.mark.parametrize(
    ("changed", "own", "is_far"),
    [(0.3, 0.5, True), (0.31, 0.5, False), (0.35, 0.5, False), (0.1, 0.25, True)],
)
def test_far_is_a_fifth_of_guessing_and_less_than_six_tenths(
    changed: float, own: float, is_far: bool
) -> None:
    assert Far(0.7, 0.0, 10_000)(changed, own) is is_far


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_what_is_usual_has_no_substitute(run_file: RunFile, schedule: str) -> None:
    loaded = load(run_file({"train.schedule": {"name": schedule}}))
    usual = [each.what for each in substitutes_for(loaded, prepare(loaded).plan)]
    assert not [each for each in usual if "relu" in each or "cosine" in each]
    assert list(transforms_for(loaded)) == []


def test_substitutes_can_be_pasted(run_file: RunFile) -> None:
    file = run_file(
        {
            "arch": {"layers": [{"conv": {"out": 2, "dilation": 2}}, "softmax", "flatten",
                                {"dropout": {"p": 0.9}}, {"linear": {"out": "$num_classes"}}]},
            "train.optimizer": {"name": "adam", "lr": 0.01, "epsilon": 3.0},
        }
    )  # fmt: skip
    loaded = load(file)
    found = list(substitutes_for(loaded, prepare(loaded).plan))
    said = {each.what: each.fault for each in found}
    assert said["with relu in place of 'softmax1'"] == "harmful_layer"
    assert said["without 'dropout1'"] == "too_much_dropout"
    assert said["with dilation of 1 (as usual) in 'conv1'"] == "harmful_layer"
    assert said["with 16 outputs of 'conv1'"] == "harmful_layer"
    (setting,) = [each for each in found if "epsilon: 3.0" in each.subject]
    assert setting.fault == "harmful_setting"
    assert load(file, setting.overrides).train.optimizer.parameters["epsilon"] == 1e-8
    for each in found:
        load(file, each.overrides)


def test_a_usual_rate_that_is_far_too_high_is_doubted(run_file: RunFile) -> None:
    finding = Finding("rate_too_high", "", "", "", overrides=("train.optimizer.lr=0.001",))
    for rate, weight in ((0.05, DOUBTED), (0.005, 1), (None, 1)):
        tried = of_remedy(finding, rate)
        assert tried is not None
        assert tried.weight == weight
    for optimizer, usual in (
        ({"name": "sgd", "lr": 0.05}, 0.05),
        ({"name": "sgd", "lr": 5.0}, None),
        ({"name": "adam", "lr": 0.05}, None),
        ({"name": "adam", "lr": 0.001}, 0.001),
        ({"name": "sgd", "lr": "auto"}, None),
    ):
        assert usual_rate(load(run_file({"train.optimizer": optimizer}))) == usual


def test_what_mends_as_well_as_a_doubted_rate_is_the_cause() -> None:
    """But for the usual optimizer in place of another one of cnntrain's."""
    noisy = noisy_net()
    rate = Finding("rate_too_high", "high", "", "", overrides=("train.optimizer.lr=0.001",))
    opened = opens("x=1", "y=2", "train.optimizer.lr=0.001", noisy=noisy)
    given = {"open_trial": opened, "causes": (rate,), "usual_rate": 0.05}
    report = check(noisy, substitutes=(REMOVED,), **given)
    assert [found.overrides for found in report.findings] == [("x=1",)]
    assert report.refutes == ("rate_too_high",)
    for weight, found in ((LAST, []), (0, [("y=2",)])):
        last = replace(MILDER, is_last=True, weight=weight)
        report = check(noisy, substitutes=(last,), **given)
        assert [each.overrides for each in report.findings] == found
    assert not check(noisy, substitutes=(REMOVED,), **given | {"usual_rate": None}).findings


def test_only_the_optimizer_of_a_plugin_weighs_as_much_as_a_setting(
    run_file: RunFile, tmp_path: Path
) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text(PLUGIN)
    for name, weight in (("sgd", LAST), ("mine", 0)):
        changes = {"train.optimizer": {"name": name, "lr": 0.1}, "plugins": [str(plugin)]}
        loaded = load(run_file(changes))
        (last,) = [each for each in substitutes_for(loaded, prepare(loaded).plan) if each.is_last]
        assert last.weight == weight


PLUGIN = """
from collections.abc import Mapping, Sequence
from typing import Any
from torch import Tensor
from cnntrain.optim import ParameterGroup, optimizer
from cnntrain.optim.optimizers.sgd import sgd


@optimizer("mine")
def mine(*, groups: Sequence[ParameterGroup]) -> Any:
    \"\"\"As usual.\"\"\"
    return sgd(groups=groups)
"""


def test_a_remedy_of_words_is_not_tried() -> None:
    finding = Finding("no_progress", "", "", "", overrides=("train.optimizer.lr=auto",))
    assert of_remedy(finding) is None
    assert of_remedy(replace(finding, overrides=())) is None
    tried = of_remedy(replace(finding, overrides=("train.optimizer.lr=0.1",)))
    assert tried is not None
    assert tried.fault == "no_progress"


def test_batches_stay_as_they_are() -> None:
    before = [batch.images.clone() for batch in BATCHES]
    check(noisy_net(), substitutes=(REMOVED,), open_trial=opens("x=1", noisy=noisy_net()))
    assert all(torch.equal(a, b.images) for a, b in zip(before, BATCHES, strict=True))
    assert isinstance(BATCHES[0], Batch)


def test_layers_that_undo_each_other_are_left_out_together(run_file: RunFile) -> None:
    detour = [{"adaptive_avg_pool": {"out": 1}}, {"upsample": {"size": 8}}]
    layers = [{"conv": {"out": 2, "padding": "same"}}, "relu", *detour, "flatten",
              {"linear": {"out": "$num_classes"}}]  # fmt: skip
    loaded = load(run_file({"arch": {"layers": layers}}))
    plan = prepare(loaded).plan
    found = [each for each in substitutes_for(loaded, plan) if len(each.layers) == 2]
    (both,) = found
    assert both.layers == ("adaptive_avg_pool1", "upsample1")
    changed = prepare(load(run_file({"arch": {"layers": layers}}), overrides=list(both.overrides)))
    assert [node.name for node in changed.plan.body.nodes] == ["conv1", "relu1", "flatten1",
                                                               "linear1"]  # fmt: skip


def test_a_rate_that_looks_wrong_because_of_something_else_is_refuted() -> None:
    noisy = noisy_net()
    rate, other = (Finding(code, code, "", "", overrides=("mended=1",))
                   for code in ("rate_too_low", "exploding_activations"))  # fmt: skip
    opened = opens("x=1", noisy=noisy)
    report = check(noisy, substitutes=(REMOVED,), open_trial=opened, causes=(rate, other))
    assert report.refutes == ("rate_too_low",)
    mends = opens("x=1", "mended=1", noisy=noisy)
    assert not check(noisy, substitutes=(REMOVED,), open_trial=mends, causes=(rate,)).refutes


def test_a_miniature_freezes_layers_when_the_run_does() -> None:
    """Half of the epochs with all layers, half without the first one."""
    freezing = Freezing(later={2: ("conv1",)})
    how = method()
    trial = Trial(convnet(), BATCHES, replace(how, recipe=replace(how.recipe, epochs=2,
                                                                  freezing=freezing)))  # fmt: skip
    moved = trial.trained(40, seed=0, run_steps=40)
    assert not moved.get_parameter("conv1.weight").requires_grad
    assert moved.get_parameter("fc1.weight").requires_grad
    assert not torch.equal(moved.get_parameter("conv1.weight"), trial.net.conv1.weight)


def test_other_batches_can_be_tried(run_file: RunFile) -> None:
    """Smaller and larger ones than those of the run, as its patient would."""
    with undisturbed():
        patient = open_patient(run_file({"data.batch_size": 2}))
    opened = opener_of(prepare(patient.loaded), list, steps=3, size_of=patient.trial_size)
    for size in (1, 24):
        variant = opened((f"data.batch_size={size}",))
        assert variant is not None
        assert [len(batch.targets) for batch in variant.trial().batches] == [size] * 3
