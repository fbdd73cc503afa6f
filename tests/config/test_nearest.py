"""Names of networks as people write them: the one that is meant comes first."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnntrain.config import shipped
from cnntrain.config.arch_header import read_header
from cnntrain.config.nearest import nearest
from cnntrain.core.errors import UsageError
from cnntrain.runs.locate import find_run

ARCHS = {
    name.removeprefix("archs/"): [read_header(file).weights.partition("_")[2]]
    for name, file in shipped.files(among="archs/").items()
}
NAMES = {**ARCHS, **dict.fromkeys(shipped.names(), ())}


@st.composite
def spelt_otherwise(draw: st.DrawFn) -> tuple[str, str]:
    """A name, and the same letters and digits with other cases, signs between, and ends."""
    name = draw(st.sampled_from(sorted(NAMES)))
    written = "".join(
        draw(st.sampled_from(["", "-", "_", " ", "."]) if letter == "_" else st.just(letter))
        for letter in name
    )
    written = "".join(draw(st.sampled_from([c.lower(), c.upper()])) for c in written)
    before = draw(st.sampled_from(["", "archs/", "timm/", "configs\\archs\\"]))
    return name, before + written + draw(st.sampled_from(["", ".yaml", ".YAML", ".yml"]))


@given(spelt_otherwise())
def test_another_spelling_of_a_name_gives_that_name_first(pair: tuple[str, str]) -> None:
    name, written = pair
    assert nearest(written, NAMES)[0] == name


@pytest.mark.parametrize(
    ("written", "first"),
    [
        ("ResNet-50", "resnet50"),
        ("efficientnetb0", "efficientnet_b0"),
        # timm's names
        ("tf_efficientnet_b0", "efficientnet_b0"),
        ("tf_efficientnet_b0.ns_jft_in1k", "efficientnet_b0"),
        ("mobilenetv3_large_100", "mobilenet_v3_large"),
        ("mobilenetv2_100", "mobilenet_v2"),
        ("convnext_tiny.fb_in1k", "convnext_tiny"),
        ("timm/resnet50.a1_in1k", "resnet50"),
        ("resnet50d", "resnet50"),
        ("mnasnet_050", "mnasnet0_5"),
        ("mnasnet_100", "mnasnet1_0"),
        ("regnetx_004", "regnet_x_400mf"),
        ("regnety_016", "regnet_y_1_6gf"),
        ("seresnet50", "se_resnet50"),
        ("efficientnetv2_rw_s", "efficientnet_v2_s"),
        # torchvision's
        ("vgg11_bn", "vgg_a_bn"),
        ("vgg19", "vgg_e"),
        ("shufflenet_v2_x1_0", "shufflenet_v2_x1_0"),
        # a family, or part of a name
        ("archs/mobilenetv3", "mobilenet_v3_large"),
        ("resnext50", "resnext50_32x4d"),
        ("wrn-28-10", "wide_resnet28_10"),
        ("convnext_b", "convnext_base"),
        # slips
        ("resnet999", "resnet9"),
        ("resent20", "resnet20"),
        ("alexnot", "alexnet"),
    ],
)
def test_names_that_people_type(written: str, first: str) -> None:
    assert nearest(written, ARCHS)[0] == first


@pytest.mark.parametrize("written", ["foo", "vit_base_patch16_224", "a", "", "/", "archs/"])
def test_what_is_like_none_has_no_near_match(written: str) -> None:
    assert nearest(written, NAMES) == []


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("archs/mobilenetv3", "did you mean 'archs/mobilenet_v3_large', 'archs/mobilenet_v3_"),
        ("mobilenetv3", "did you mean 'mobilenet_v3_large', 'mobilenet_v3_small'"),
        ("ResNet-50", "did you mean 'resnet50'? `cnntrain list archs` shows all"),
        ("foo", "check the name; `cnntrain list archs` shows all"),
    ],
)
def test_an_unknown_network_names_the_nearest_and_the_list(written: str, said: str) -> None:
    with pytest.raises(UsageError, match="there is no network") as caught:
        shipped.find_network(written)
    assert said in str(caught.value)


@pytest.mark.parametrize("written", ["mobilenet_v2", "archs/MobileNetV2", "mobilenet-v2.yaml"])
def test_an_architecture_in_place_of_a_run_file(written: str) -> None:
    """It can be looked at; training needs more than a network."""
    with pytest.raises(UsageError, match="is an architecture, not a run file") as caught:
        shipped.resolve(written)
    assert "`arch: archs/mobilenet_v2.yaml`" in str(caught.value)
    with pytest.raises(UsageError, match="there is no run file"):
        shipped.resolve(f"somewhere/else/{written}")


@pytest.mark.parametrize(
    ("written", "arch"),
    [
        ("mobilenet_v2", "mobilenet_v2"),
        ("archs/MobileNetV2", "mobilenet_v2"),
        ("resnet-18", "resnet18"),  # the run file resnet50 is less like it
    ],
)
def test_an_architecture_in_place_of_a_run(
    written: str, arch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("archs").mkdir()
    with pytest.raises(UsageError, match="is an architecture, not a run") as caught:
        find_run(Path(written), others=["resnet50", "lenet5"])
    assert f"-s arch=archs/{arch}.yaml`" in str(caught.value)
