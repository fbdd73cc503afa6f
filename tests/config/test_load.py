"""Loading: values, sections in files, plugins, where everything stands."""

import os
from pathlib import Path

import pytest

from cnntrain.config.load import load, load_text
from cnntrain.core.errors import ConfigError
from cnntrain.data import DATASETS, TRANSFORMS
from cnntrain.layers import LAYERS


def test_values_and_defaults(run_file: Path) -> None:
    config = load(run_file).config
    assert config.name == "run"
    assert config.train.optimizer.lr == 0.01
    assert config.train.optimizer.groups[0].lr_factor == 2.0
    assert config.data.parameters == {"root": "pictures", "download": False}
    crop = config.data.transforms.train[0]
    assert (crop.name, crop.parameters["padding"]) == ("random_crop", 2)
    assert [call.name for call in config.data.transforms.eval] == ["normalize"]
    assert config.record.root == "runs"


def test_nothing_can_be_changed(run_file: Path) -> None:
    config = load(run_file).config
    with pytest.raises(ValueError, match="frozen"):
        config.train.epochs = 3  # type: ignore[misc]  # the point of the test


def test_overrides_count_in_order(run_file: Path) -> None:
    config = load(run_file, ["train.epochs=20", "train.epochs=30", "train.ema.decay=0.9"]).config
    assert config.train.epochs == 30
    assert config.train.ema is not None
    assert config.train.ema.decay == 0.9


def test_the_first_equals_sign_ends_the_key(run_file: Path) -> None:
    config = load(run_file, ["data.root=a=b", "train.optimizer.groups.0.names='c=*'"]).config
    assert config.data.parameters["root"] == "a=b"
    assert config.train.optimizer.groups[0].names == "c=*"


def test_override_of_a_list_element_and_of_a_whole_section(run_file: Path) -> None:
    overrides = ["data.transforms.train.0.random_crop.padding=4", "compute={device: cuda}"]
    config = load(run_file, overrides).config
    assert config.data.transforms.train[0].parameters["padding"] == 4
    assert (config.compute.device, config.compute.precision) == ("cuda", "auto")


def test_a_section_in_a_file_beside_the_run_file(run_file: Path) -> None:
    Path("recipes").mkdir()
    Path("recipes/short.yaml").write_text("epochs: 2\noptimizer: {name: adam, lr: 1e-3}\n")
    Path("sub").mkdir()
    Path("sub/run.yaml").write_text(
        "arch: archs/lenet5.yaml\ntrain: ../recipes/short.yaml\ndata: {name: mnist}\n"
    )
    loaded = load("sub/run.yaml", ["train.optimizer.lr=0.1"])
    assert loaded.config.train.optimizer.name == "adam"
    assert loaded.config.train.optimizer.lr == 0.1
    assert "layers" in loaded.config.arch, "found among the shipped ones"
    assert loaded.file == Path("sub/run.yaml")
    arch = loaded.document.places.of(("arch", "layers"))
    assert arch is not None
    assert Path(arch.file).name == "lenet5.yaml"
    place = loaded.document.places.of(("train", "epochs"))
    assert place is not None
    assert (Path(place.file).name, place.line) == ("short.yaml", 1)


def test_a_section_named_by_an_override_starts_from_the_working_folder(run_file: Path) -> None:
    Path("net.yaml").write_text("layers: [flatten]\n")
    Path("sub").mkdir()
    Path("sub/run.yaml").write_text(run_file.read_text())
    assert load("sub/run.yaml", ["arch=net.yaml", "vars={}"]).config.arch == {"layers": ["flatten"]}


def test_places_of_the_architecture_are_in_the_document(run_file: Path) -> None:
    loaded = load(run_file)
    place = loaded.document.places.of(("arch", "layers", 0, "conv", "kernel"))
    assert place is not None
    assert str(place) == "run.yaml:5:35"
    problem = loaded.problem(("train", "epochs"), "no", "yes")
    assert problem.render().startswith("run.yaml:22:11: no; yes\n")
    assert loaded.is_given(("train", "epochs"))
    assert not loaded.is_given(("train", "l1"))


def test_text_without_a_file(run_file: Path) -> None:
    text = run_file.read_text()
    assert load_text(text, file="run.yaml").config == load(run_file).config


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*none\.yaml"):
        load(tmp_path / "none.yaml")


def test_plugins_are_read_but_not_run(run_file: Path) -> None:
    Path("mine.py").write_text(
        "from cnntrain.core.kinds import Positive\n"
        "from cnntrain.data import dataset, transform\n"
        "from cnntrain.layers import layer\n"
        "open('ran', 'w')\n\n"
        "@layer('test_load_layer')\ndef one(*, out: Positive): ...\n\n"
        "@dataset('test_load_data', validation=True)\ndef two(*, folder: str): ...\n\n"
        "@transform('test_load_transform')\ndef three(*, by: float = 1.0): ...\n"
    )
    text = run_file.read_text().replace("name: mnist\n  root: pictures", "name: test_load_data")
    text = text.replace("- normalize", "- normalize\n      - test_load_transform")
    Path("run.yaml").write_text("plugins: [mine.py]\n" + text)
    with pytest.raises(ConfigError, match="'folder' is missing in 'test_load_data'"):
        load("run.yaml")
    config = load("run.yaml", ["data.folder=here"]).config
    assert config.data.parameters == {"folder": "here"}
    assert config.data.transforms.train[-1].parameters == {"by": 1.0}
    assert config.plugins == (str(Path("mine.py").resolve()),)
    assert not Path("ran").exists()
    for catalogue in (LAYERS, DATASETS, TRANSFORMS):
        assert any(name.startswith("test_load_") for name in catalogue.names())


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        ("[test_load_plt]", "unknown observer 'test_load_plt'; did you mean 'test_load_plot'?"),
        ("[{test_load_plot: {evry: 2}}]", "unknown key 'evry' in 'test_load_plot'; did you mean"),
        ("[{test_load_plot: {every: 0}}]", "'every' must be at least 1, not 0"),
        ("[{test_load_plot: {net: 0}}]", "'net' of 'test_load_plot' follows from the run; remove"),
        (
            "[[test_load_plot]]",
            r"an observer is a name or `name: {parameters}`, not \['test_load_plot'\]",
        ),
        ("test_load_plot", "'observers' must be a list, not the string"),
        ("[tensorboard]", "'tensorboard' cannot be listed: `record.tensorboard` turns it on"),
        ("[test_load_plot, {log: {}}]", "'log' cannot be listed: every run has it; remove it"),
        ("[history]", "'history' cannot be listed: every training from Python has it; remove"),
    ],
)
def test_observers_that_cannot_be_listed(run_file: Path, listed: str, message: str) -> None:
    Path("plot.py").write_text(
        "from cnntrain.core.kinds import Positive\n"
        "from cnntrain.record import observer\n\n"
        "@observer('test_load_plot')\ndef plot(*, every: Positive = 1, net): ...\n"
    )
    Path("run.yaml").write_text("plugins: [plot.py]\n" + run_file.read_text())
    config = load("run.yaml", ["record.observers=[test_load_plot]"]).config
    assert config.record.observers[0].parameters == {"every": 1}
    with pytest.raises(ConfigError, match=message) as caught:
        load("run.yaml", [f"record.observers={listed}"])
    assert len(caught.value.problems) == 1


def test_an_observer_whose_plugin_is_not_named(run_file: Path) -> None:
    with pytest.raises(ConfigError, match="unknown observer 'plot'; choose from mlflow, wandb"):
        load(run_file, ["record.observers=[plot]"])


def test_an_unreadable_section_is_told_once(run_file: Path) -> None:
    Path("net.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError) as caught:
        load(run_file, ["arch=net.yaml", "train.epochs=ten"])
    assert [problem.place.line for problem in caught.value.problems if problem.place] == [1, 2]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(run_file: Path) -> None:
    run_file.chmod(0)
    with pytest.raises(ConfigError, match="cannot read"):
        load(run_file)
