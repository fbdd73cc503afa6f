"""Weights of the hub: from a cache as huggingface_hub lays it out, and from a server like it.

Most tests have a small network with our own names. Those in timm's layouts are torchvision's models
under timm's names (timm 1.0.31). config.json has the keys that its `save_config_for_hf` writes.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
import yaml
from safetensors.torch import save_file

from cnntrain.assemble.build_network import build
from cnntrain.assemble.checked import check_run_file
from cnntrain.assemble.prepare import prepare
from cnntrain.config.load import load
from cnntrain.core.errors import CheckpointError, CnntrainError, ConfigError, UsageError
from cnntrain.model.opening import open_model

pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")
constants = importlib.import_module("huggingface_hub.constants")
pytestmark = pytest.mark.filterwarnings("ignore")  # the library's own

NAME, COMMIT, OTHER = "timm/resnet18.a1_in1k", "a" * 40, "b" * 40
PREPARED = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
ABOUT: dict[str, Any] = {
    "architecture": "small",
    "num_classes": 3,
    "label_names": ["cat", "dog", "owl"],
    "pretrained_cfg": {
        "input_size": [3, 16, 16],
        "interpolation": "bilinear",
        "crop_pct": 0.95,
        "crop_mode": "center",
        **PREPARED,
    },
}
ARCH = {
    "layers": [
        {"conv": {"out": 4, "kernel": 3}},
        "batch_norm",
        "global_avg_pool",
        {"linear": {"out": "$num_classes"}, "as": "output"},
    ]
}
SMALL = {
    "arch": ARCH,
    "data": {"name": "synthetic", "size": 20, "channels": 3, "classes": 3, "images": 20},
    "compute.channels_last": False,
}
IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def net() -> torch.nn.Module:
    return build(ARCH, image_size=16, image_channels=3, num_classes=3, seed=5).eval()


def as_safetensors(net: torch.nn.Module, folder: Path) -> bytes:
    save_file(dict(net.state_dict()), folder / "f")
    return (folder / "f").read_bytes()


@pytest.fixture
def content(net: torch.nn.Module, tmp_path: Path) -> dict[str, bytes]:
    """The files of the repository."""
    weights = as_safetensors(net, tmp_path)
    return {"config.json": json.dumps(ABOUT).encode(), "model.safetensors": weights}


def etag(data: bytes, *, large: bool) -> str:
    return hashlib.sha256(data).hexdigest() if large else git_hash(data)


def git_hash(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the library."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def put(cache: Path, files: dict[str, bytes], *, commit: str = COMMIT, ref: str = "main") -> Path:
    """Files in the cache as if they had been fetched; gives the folder of the repository."""
    folder = cache / "models--timm--resnet18.a1_in1k"
    for part in ("refs", "blobs", f"snapshots/{commit}"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "refs" / ref).write_text(commit)
    for name, data in files.items():
        blob = folder / "blobs" / etag(data, large=name != "config.json")
        blob.write_bytes(data)
        (folder / "snapshots" / commit / name).symlink_to(f"../../blobs/{blob.name}")
    return folder


@pytest.fixture
def of_hub(run_file: Callable[..., Path]) -> Callable[..., Path]:
    def write(changes: dict[str, Any] | None = None, **weights: Any) -> Path:
        finetune = {"weights": {"hub": NAME, **weights}}
        given = {**SMALL, "data.transforms": {}, "finetune": finetune, "train.epochs": 1}
        return run_file({**given, **(changes or {})}, name="hub")

    return write


def resnet50() -> torch.nn.Module:
    """timm's has torchvision's names."""
    made: torch.nn.Module = torchvision.models.resnet50(num_classes=3)
    return made


def mobilenet_v3() -> torch.nn.Module:
    """torchvision's with timm's epsilon, 1e-5."""
    norm = torch.nn.BatchNorm2d
    made: torch.nn.Module = torchvision.models.mobilenet_v3_large(num_classes=3, norm_layer=norm)
    return made


def as_mobilenetv3_of_timm(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Its names: convolutions and norms are numbered within a block, blocks within a stage."""
    stages = [(s, b) for s, blocks in enumerate((1, 2, 3, 4, 2, 3)) for b in range(blocks)]
    ends = {
        "features.0.0": "conv_stem",
        "features.0.1": "bn1",
        "features.16.0": "blocks.6.0.conv",
        "features.16.1": "blocks.6.0.bn1",
        "classifier.0": "conv_head",
        "classifier.3": "classifier",
    }
    gates = {"fc1": "conv_reduce", "fc2": "conv_expand"}
    renamed = {}
    for name, value in state.items():
        module, _, kind = name.rpartition(".")
        if module not in ends:
            _, block, _, place, part = module.split(".")
            stage, number = stages[int(block) - 1]
            inside = f"blocks.{stage}.{number}"
            if part in gates:
                module = f"{inside}.se.{gates[part]}"
            else:
                earlier = {p.split(".")[3] for p in state if p.startswith(f"features.{block}.")}
                convs = [
                    p for p in sorted(earlier) if f"features.{block}.block.{p}.0.weight" in state
                ]
                order = ("conv_pw", "conv_dw", "conv_pwl") if stage else ("conv_dw", "conv_pw")
                index = convs.index(place)
                module = f"{inside}.{order[index] if part == '0' else f'bn{index + 1}'}"
        renamed[f"{ends.get(module, module)}.{kind}"] = value
    renamed["conv_head.weight"] = renamed["conv_head.weight"][:, :, None, None]
    return renamed


def test_the_layout_of_timms_mobilenetv3() -> None:
    names = as_mobilenetv3_of_timm(mobilenet_v3().state_dict())
    assert len(names) == 312  # of timm.create_model("mobilenetv3_large_100"), as the names below
    assert {
        *(
            "conv_stem.weight",
            "bn1.running_mean",
            "blocks.0.0.conv_dw.weight",
            "blocks.0.0.bn2.bias",
        ),
        *("blocks.0.0.conv_pw.weight", "blocks.1.0.conv_pw.weight", "blocks.1.1.bn3.weight"),
        *("blocks.2.2.se.conv_reduce.bias", "blocks.3.3.conv_pwl.weight", "blocks.4.1.bn2.bias"),
        *("blocks.5.2.se.conv_expand.weight", "blocks.6.0.conv.weight", "blocks.6.0.bn1.bias"),
        *("conv_head.bias", "classifier.weight"),
    } <= names.keys()


@pytest.mark.parametrize(
    ("architecture", "arch", "make", "renamed"),
    [
        ("resnet50", "resnet50", resnet50, dict),
        (
            "mobilenetv3_large_100",
            "mobilenet_v3_large_timm",
            mobilenet_v3,
            as_mobilenetv3_of_timm,
        ),
    ],
)
def test_a_network_of_timm(
    cache: Path,
    of_hub: Callable[..., Path],
    tmp_path: Path,
    architecture: str,
    arch: str,
    make: Callable[[], torch.nn.Module],
    renamed: Callable[[Any], dict[str, torch.Tensor]],
) -> None:
    torch.manual_seed(0)
    theirs = make().eval()
    settings = {**ABOUT["pretrained_cfg"], "input_size": [3, 32, 32]}
    about = {"architecture": architecture, "pretrained_cfg": settings, "labels": ["a", "b", "c"]}
    save_file(renamed(theirs.state_dict()), tmp_path / "f")
    weights = (tmp_path / "f").read_bytes()
    put(cache, {"config.json": json.dumps(about).encode(), "model.safetensors": weights})
    model = open_model(of_hub({"arch": f"archs/{arch}.yaml", "data.size": 40}))
    with torch.no_grad():
        found, expected = model.net(IMAGES), theirs(IMAGES)
    if architecture == "resnet50":
        assert torch.equal(found, expected)
    else:  # a 1x1 convolution for a linear layer rounds otherwise; an epsilon of 1e-3 gives 1 %
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_another_layout_of_the_same_network_is_refused(
    cache: Path, of_hub: Callable[..., Path], tmp_path: Path
) -> None:
    """archs/mobilenet_v3_large is torchvision's, with another epsilon: its logits would differ."""
    save_file(as_mobilenetv3_of_timm(mobilenet_v3().state_dict()), tmp_path / "f")
    about = {**ABOUT, "architecture": "mobilenetv3_large_100"}
    weights = (tmp_path / "f").read_bytes()
    put(cache, {"config.json": json.dumps(about).encode(), "model.safetensors": weights})
    with pytest.raises(CheckpointError, match=r"has 10 of the 264 weights of the network"):
        open_model(of_hub({"arch": "archs/mobilenet_v3_large.yaml", "data.size": 40}))


def test_its_images_are_prepared_as_timm_says(
    cache: Path, content: dict[str, bytes], of_hub: Callable[..., Path]
) -> None:
    put(cache, content)
    model = open_model(of_hub())
    # 16 / 0.95 = 16.8
    resize, crop, normalize = model.eval_steps
    assert (resize["size"], list(crop["size"])) == (16, [16, 16])
    assert {key: list(normalize[key]) for key in PREPARED} == PREPARED
    assert model.path.name == "model.safetensors"
    assert model.loaded.notes == ()


def test_its_classes_decide_about_the_head(
    cache: Path, content: dict[str, bytes], of_hub: Callable[..., Path]
) -> None:
    put(cache, content)
    start = prepare(load(of_hub())).start  # the classes of the data are not cat, dog, owl
    assert start is not None
    assert start.new == ("output.weight", "output.bias")
    assert start.source == f"{NAME} at {COMMIT[:12]}"


def test_a_run_keeps_the_commit(
    cache: Path,
    content: dict[str, bytes],
    of_hub: Callable[..., Path],
    train_tiny: Callable[..., Any],
) -> None:
    put(cache, content)
    run = train_tiny(of_hub()).run
    kept = yaml.safe_load(run.config.read_text())["finetune"]["weights"]
    assert (kept["hub"], kept["revision"]) == (NAME, COMMIT)
    put(cache, {"config.json": b"{}"}, commit=OTHER)  # main has moved
    again = check_run_file(run.config).loaded.config.finetune
    assert again is not None
    assert again.weights.revision == COMMIT
    newer = check_run_file(of_hub()).loaded.config.finetune
    assert newer is not None
    assert newer.weights.revision == OTHER


@pytest.mark.parametrize("revision", [COMMIT, "v1"])
def test_the_revision_that_is_named(
    cache: Path, content: dict[str, bytes], of_hub: Callable[..., Path], revision: str
) -> None:
    put(cache, content, ref="v1")
    put(cache, {"config.json": b"{}"}, commit=OTHER)
    finetune = check_run_file(of_hub(revision=revision)).loaded.config.finetune
    assert finetune is not None
    assert finetune.weights.revision == COMMIT


@pytest.mark.parametrize("name", ["pytorch_model.bin", "both"])
def test_safetensors_are_preferred(
    cache: Path,
    content: dict[str, bytes],
    of_hub: Callable[..., Path],
    net: torch.nn.Module,
    tmp_path: Path,
    name: str,
) -> None:
    zeros = {key: torch.zeros_like(value) for key, value in net.state_dict().items()}
    torch.save(zeros if name == "both" else net.state_dict(), tmp_path / "f")
    binary = {"pytorch_model.bin": (tmp_path / "f").read_bytes()}
    put(cache, {**content, **binary} if name == "both" else {**binary, "config.json": b"{}"})
    model = open_model(of_hub({"data.transforms": {"eval": [{"normalize": PREPARED}]}}))
    with torch.no_grad():
        assert torch.equal(model.net(IMAGES), net(IMAGES))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "resnet18.a1_in1k at revision main is not in the cache"),
        ({"revision": "c" * 40}, "at revision c{40} is not in the cache .*download: true to fetch"),
        ({"hub": "../x/y"}, r"the hub has no repository '\.\./x/y'; write owner/name"),
    ],
)
def test_nothing_is_fetched_unasked(
    cache: Path, of_hub: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, given: Any, says: str
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr("socket.getaddrinfo", refuse)
    with pytest.raises(CheckpointError, match=says) as caught:
        check_run_file(of_hub(**given))
    place = caught.value.problems[0].place
    assert place is not None
    assert "hub:" in place.source
    assert not cache.exists()


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
@pytest.mark.parametrize("short", [True, False])
def test_damaged_files_are_refused(
    cache: Path, content: dict[str, bytes], of_hub: Callable[..., Path], name: str, short: bool
) -> None:
    blob = (put(cache, content) / "snapshots" / COMMIT / name).resolve()
    data = bytearray(blob.read_bytes())
    data[-5] ^= 1  # inside of the last weight, or of a space in JSON
    blob.write_bytes(data[:-9] if short else data)
    with pytest.raises(CheckpointError, match=r"is damaged: its content .*; delete .*blobs"):
        open_model(of_hub())


@pytest.mark.parametrize(
    ("about", "says"),
    [
        ({"interpolation": "bicubic"}, None),
        ({"interpolation": "lanczos"}, "resized bilinearly, but for these weights it was lanczos"),
        ({"crop_pct": 0}, None),
        ({"crop_pct": "x"}, "states no possible preprocessing"),
        ({"input_size": [3]}, "states no possible preprocessing"),
        ({"mean": [float("nan")] * 3}, "mean"),
        ({"crop_mode": "squash"}, "the normalisation used for these weights is unknown"),
    ],
)
def test_preprocessing_that_timm_states(
    cache: Path,
    content: dict[str, bytes],
    of_hub: Callable[..., Path],
    about: Any,
    says: str | None,
) -> None:
    settings = {**ABOUT, "pretrained_cfg": {**ABOUT["pretrained_cfg"], **about}}
    put(cache, {**content, "config.json": json.dumps(settings).encode()})
    try:
        found = str(open_model(of_hub()).loaded.notes)
    except CnntrainError as error:
        found = str(error)
    assert says in found if says is not None else found == "()"


@pytest.mark.parametrize(
    ("stated", "how"),
    [
        ({"interpolation": "bicubic"}, "bicubic"),
        ({"interpolation": "bilinear"}, "bilinear"),
        ({"interpolation": ""}, "bicubic"),  # the default of timm's resolve_data_config
    ],
)
def test_images_are_resized_as_timm_says(
    cache: Path, content: dict[str, bytes], of_hub: Callable[..., Path], stated: Any, how: str
) -> None:
    settings = {**ABOUT, "pretrained_cfg": {**ABOUT["pretrained_cfg"], **stated}}
    put(cache, {**content, "config.json": json.dumps(settings).encode()})
    model = open_model(of_hub())
    assert model.eval_steps[0] == {"name": "resize", "size": 16, "interpolation": how}
    assert model.loaded.notes == ()


def test_keys_that_belong_to_the_hub(run_file: Callable[..., Path]) -> None:
    weights = {"file": "f.pt", "revision": "main", "download": True}
    with pytest.raises(ConfigError) as caught:
        check_run_file(run_file({"finetune": {"weights": weights}}))
    assert [problem.message for problem in caught.value.problems] == [
        "'revision' has no effect without hub",
        "'download' has no effect without hub",
    ]


def test_without_the_library(
    cache: Path, of_hub: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(UsageError, match=r"pip install 'cnntrain\[hub\]'"):
        check_run_file(of_hub())


class Hub(BaseHTTPRequestHandler):
    """What the library asks of the hub: HEAD and GET of /NAME/resolve/REVISION/FILE."""

    files: dict[str, bytes] = {}  # noqa: RUF012
    asked: list[str] = []  # noqa: RUF012
    cuts = False

    def do_HEAD(self) -> None:
        self.answer(with_content=False)

    def do_GET(self) -> None:
        self.answer(with_content=True)

    def answer(self, *, with_content: bool) -> None:
        self.asked.append(f"{self.command} {self.path}")
        name, _, rest = self.path[1:].partition("/resolve/")
        revision, _, file = rest.partition("/")
        missing = {
            "RepoNotFound": name != NAME,
            "RevisionNotFound": revision not in ("main", COMMIT),
            "EntryNotFound": file not in self.files,
        }
        code = next((code for code, is_so in missing.items() if is_so), None)
        data = b"" if code else self.files[file]
        self.send_response(404 if code else 200)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("X-Repo-Commit", COMMIT)
        if code:
            self.send_header("X-Error-Code", code)
        else:
            self.send_header("ETag", f'"{etag(data, large=file != "config.json")}"')
        self.end_headers()
        if with_content:
            self.wfile.write(data[: len(data) // 2] if self.cuts else data)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def server(content: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hub]]:
    """A hub with one repository, on this machine."""
    kind = type("OneHub", (Hub,), {"files": dict(content), "asked": [], "cuts": False})
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as listening:
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        endpoint = f"http://127.0.0.1:{listening.server_port}"
        template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "ENDPOINT", endpoint)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        yield kind
        listening.shutdown()
        thread.join()


def test_fetched_once(
    cache: Path,
    server: type[Hub],
    of_hub: Callable[..., Path],
    net: torch.nn.Module,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    check_run_file(of_hub(download=True))
    assert not [line for line in server.asked if "config.json" not in line]
    model = open_model(of_hub(download=True))
    with torch.no_grad():
        assert torch.equal(model.net(IMAGES), net(IMAGES))
    assert f"GET /{NAME}/resolve/{COMMIT}/model.safetensors" in server.asked
    count = len(server.asked)
    open_model(of_hub(download=True))
    open_model(of_hub())
    assert len(server.asked) == count
    with pytest.raises(CheckpointError, match="has no revision 'v9'; give a commit"):
        check_run_file(of_hub(download=True, revision="v9"))
    with pytest.raises(CheckpointError, match="the hub has no repository 'timm/other'"):
        check_run_file(of_hub(download=True, hub="timm/other"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    open_model(of_hub(download=True))
    with pytest.raises(CheckpointError, match="is not in the cache of huggingface_hub and cannot"):
        check_run_file(of_hub(download=True, revision="v9"))


def test_a_file_that_arrives_cut_short(
    cache: Path, server: type[Hub], of_hub: Callable[..., Path]
) -> None:
    check_run_file(of_hub(download=True))
    server.cuts = True
    with pytest.raises(CheckpointError, match=r"model\.safetensors of .* cannot be fetched"):
        open_model(of_hub(download=True))
    assert not list(cache.rglob("model.safetensors"))


def test_a_repository_without_weights(
    cache: Path, server: type[Hub], of_hub: Callable[..., Path]
) -> None:
    del server.files["model.safetensors"]
    with pytest.raises(CheckpointError, match=r"no model\.safetensors and no pytorch_model\.bin"):
        open_model(of_hub(download=True))


def test_a_run_of_somebody_else_fetches_nothing(
    cache: Path, server: type[Hub], of_hub: Callable[..., Path]
) -> None:
    loaded = replace(load(of_hub(download=True)), may_download=False)
    with pytest.raises(CheckpointError, match="is not in the cache"):
        prepare(loaded)
    assert server.asked == []
