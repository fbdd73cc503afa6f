"""Expected factors: the powers and products of the definition, written out."""

from itertools import pairwise

from cnntrain.optim.groups import rate_factors

NAMES = [
    "stem.conv1.weight",
    "stage1.block1.bias",
    "stage2.block1.bias",
    "fc.weight",
    "aux1.fc.bias",
]


def test_each_stage_has_the_factor_of_the_next_times_the_decay() -> None:
    found = rate_factors(NAMES, stages=["stem", "stage1", "stage2", "fc"], decay=0.5)
    assert list(found.items()) == list(zip(NAMES, [0.125, 0.25, 0.5, 1.0, 1.0], strict=True))


def test_the_papers_division_by_2_6() -> None:
    # Howard and Ruder 2018, section 3.2: the rate of layer l - 1 is that of layer l over 2.6
    found = rate_factors(NAMES, stages=["stem", "stage1", "stage2", "fc"], decay=1 / 2.6)
    rates = [found[name] for name in NAMES[:4]]
    for earlier, later in pairwise(rates):
        assert abs(earlier * 2.6 - later) < 1e-15


def test_of_several_patterns_the_last_counts_and_the_stage_multiplies() -> None:
    scales = {"*": 0.1, "stage*": 0.4, "*.bias": 2.0}
    assert list(rate_factors(NAMES, scales=scales).values()) == [0.1, 2.0, 2.0, 0.1, 2.0]
    found = rate_factors(NAMES, stages=["stem", "fc"], decay=0.5, scales={"stem": 0.25})
    assert found["stem.conv1.weight"] == 0.125
    assert found["fc.weight"] == 1.0


def test_nothing_said_is_1() -> None:
    assert set(rate_factors(NAMES).values()) == {1.0}
