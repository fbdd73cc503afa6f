"""`cnntrain report`: what is on the page, and that nothing else is needed to see it."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from PIL import Image

from cnntrain.config.load import load
from cnntrain.fit.fit import fit

Cnntrain = Callable[..., Any]

HOSTILE = ["<img src=x onerror=alert(1)>", "a&b \"c\" 'd'", "plain"]
"""Names of classes, and so of folders."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PHONE = 390


def make_run(folder: Path) -> Path:
    """A few epochs on 3 x 12 coloured images, a third of which are test images."""
    generator = torch.Generator().manual_seed(0)
    for number, name in enumerate(HOSTILE):
        for image in range(12):
            place = folder / "images" / ("test" if image < 4 else "train") / name
            place.mkdir(parents=True, exist_ok=True)
            pixels = torch.randint(0, 120, (10, 10, 3), generator=generator)
            pixels[..., number] += 40
            array = pixels.to(torch.uint8).numpy()
            Image.fromarray(array).save(place / f"{image}.png")
    tree = {
        "name": "hostile",
        "arch": {
            "layers": [
                {"conv": {"out": 4, "kernel": 3}},
                *("relu", "global_avg_pool"),
                {"linear": {"out": "$num_classes"}},
            ]
        },
        "compute": {"threads": 1},
        "data": {
            "name": "image_folder",
            "root": str(folder / "images"),
            "batch_size": 8,
            "transforms": {
                "train": [{"resize": {"size": [10, 10]}}, "horizontal_flip", "normalize"],
                "eval": [{"resize": {"size": [10, 10]}}, "normalize"],
            },
        },
        "train": {"epochs": 2, "optimizer": {"name": "sgd", "lr": 0.05}},
        "record": {"tensorboard": False},
    }
    comment = "# </code><script>alert(1)</script>\n"
    (folder / "run.yaml").write_text(comment + yaml.safe_dump(tree))
    fit(load(folder / "run.yaml"), out=folder / "run", quiet=True)
    return folder / "run"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("hostile"))


@pytest.fixture
def page(cnntrain: Cnntrain, run: Path) -> str:
    answer = cnntrain("report", run)
    assert (answer.code, answer.out) == (0, f"{run / 'report.html'}\n"), answer.err
    return (run / "report.html").read_text("utf-8")


def test_its_figures_are_those_of_eval(cnntrain: Cnntrain, run: Path, page: str) -> None:
    """The same network on the same images: eval counts by its own tables."""
    evaluated = json.loads(cnntrain("eval", run, "--json").out)
    answer = json.loads(cnntrain("report", run, "--json").out)
    assert answer["missing"] == []
    assert [answer[key] for key in ("split", "images", "correct")] == [
        "test",
        12,
        evaluated["correct"],
    ]
    assert answer["error"] == pytest.approx(evaluated["error"])
    assert answer["guessed"] == pytest.approx(2 / 3)
    low, high = (1 - evaluated["top1_interval"][end] for end in ("high", "low"))
    assert f"between {low:.2%} and {high:.2%}".replace("%", " %") in plain(page)
    for each in evaluated["classes"]:
        ratios = [f"{100 * each[key]:.2f} %" for key in ("precision", "recall", "f1")]
        row = " ".join([each["name"], str(each["images"]), *ratios])
        assert row in plain(page)
    for name, counts in zip(HOSTILE, evaluated["confusion"], strict=False):
        assert name in HOSTILE
        assert " ".join(str(count) for count in counts if count) in plain(page)
    assert f"calibration error {100 * evaluated['calibration_error']:.2f} %" in plain(page)


def plain(page: str) -> str:
    """What is read on the page."""
    text = html.unescape(re.sub(r"<[^>]*>", " ", page.partition("</style>")[2]))
    return " ".join(text.replace("\u00a0", " ").split())


def test_names_and_comments_are_escaped(page: str) -> None:
    assert "onerror" in page  # it is there, as text
    assert "&lt;/code&gt;&lt;script&gt;alert(1)&lt;/script&gt;" in page
    tags = Tags()
    tags.feed(page)
    assert {"table", "img", "svg"} < tags.names
    assert "script" not in tags.names
    assert not [name for name in tags.attributes if name.startswith("on")]


class Tags(HTMLParser):
    """The names of all elements and attributes, as a browser reads them."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_it_needs_nothing_else(page: str) -> None:
    sources = re.findall(r'(?:src|href|poster|data|action)="([^"]*)"', page)
    assert len(sources) > 10
    assert [each for each in sources if not each.startswith(("#", "data:image/"))] == []
    assert "url(" not in page
    assert "@import" not in page
    assert "default-src &#x27;none&#x27;" in page
    assert len(page) < 200_000


def test_every_image_and_drawing_has_words(page: str) -> None:
    assert page.count("<img ") > 8
    assert page.count("<img ") == page.count("<img alt=")
    assert page.count("<svg ") == len(re.findall(r'<svg [^>]*aria-label="[^"]+"', page))
    anchors = set(re.findall(r'href="#([^"]*)"', page))
    assert anchors == set(re.findall(r'<h2 id="([^"]*)"', page))


def test_without_its_images(cnntrain: Cnntrain, tmp_path: Path) -> None:
    """The page has what the run has written down, and says what it lacks."""
    run = make_run(tmp_path)
    result = json.loads((run / "summary.json").read_text())["test"]
    (tmp_path / "images").rename(tmp_path / "moved")
    answer = cnntrain("report", run, "--json")
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    assert (found["images"], found["guessed"]) == (12, None)
    assert found["error"] == pytest.approx(result["error"])
    [missing] = found["missing"]
    assert "add `-s data.root=FOLDER`" in missing
    assert f"missing: {missing}" in answer.err
    text = plain((run / "report.html").read_text("utf-8"))
    assert "Missing here" in text
    assert "Confusion matrix" not in text
    assert "Learning rate" in text
    answer = cnntrain("report", run, "--json", "-s", f"data.root={tmp_path / 'moved'}")
    assert json.loads(answer.out)["missing"] == []


def test_damaged_records_are_said(cnntrain: Cnntrain, run: Path) -> None:
    copied = Path("copied")
    shutil.copytree(run, copied)
    lines = (copied / "metrics.jsonl").read_text().splitlines()
    row = json.loads(next(line for line in lines if '"epoch"' in line and "train_loss" in line))
    odd = [{**row, "train_loss": float("nan")}, {**row, "epoch": 10**40, "lr": 1e300, "step": 3}]
    (copied / "metrics.jsonl").write_text("".join(json.dumps(each) + "\n" for each in odd))
    (copied / "summary.json").write_text("[")
    (copied / "environment.json").unlink()
    answer = cnntrain("report", copied, "--json")
    assert answer.code == 0, answer.err
    said = json.loads(answer.out)["missing"]
    assert [each.split()[0] for each in said] == ["copied/summary.json", "copied/environment.json"]


def test_many_classes_are_cut(cnntrain: Cnntrain, tmp_path: Path) -> None:
    tree = {
        "arch": {"layers": ["global_avg_pool", {"linear": {"out": "$num_classes"}}]},
        "data": {"name": "synthetic", "size": 4, "images": 240, "classes": 120, "test_images": 240,
                 "batch_size": 60},
        "train": {"epochs": 1, "optimizer": {"name": "sgd", "lr": 0.1}},
        "record": {"tensorboard": False},
    }  # fmt: skip
    (tmp_path / "many.yaml").write_text(yaml.safe_dump(tree))
    assert cnntrain("fit", "many.yaml", "--out", "many", "-q").code == 0
    page = Path("many/report.html").read_text("utf-8")
    assert "The 30 of 120 classes with the lowest F1." in page
    matrix = page.partition('<table class="confusion">')[2].partition("</table>")[0]
    assert matrix.count("<tr>") == 31
    assert matrix.count("others") == 1


def test_what_is_no_single_run_is_refused(
    cnntrain: Cnntrain, run_file: Callable[..., Path]
) -> None:
    file = run_file({"train.epochs": 1})
    assert cnntrain("fit", file, "--folds", "2", "--out", "folds", "-q").code == 0
    answer = cnntrain("report", "folds")
    assert answer.code == 2
    assert answer.err == (
        "error: folds holds the runs of a cross-validation, not one run; give one of them: "
        "folds/fold1\n"
    )


def test_another_file_is_not_overwritten(cnntrain: Cnntrain, run: Path) -> None:
    Path("mine.html").write_text("mine")
    answer = cnntrain("report", run, "--out", "mine.html")
    assert (answer.code, Path("mine.html").read_text()) == (2, "mine")
    assert cnntrain("report", run, "--out", "mine.html", "--force").code == 0
    assert "<h1>hostile: a network for 3 classes</h1>" in Path("mine.html").read_text("utf-8")
    assert cnntrain("report", run, "--out", "page.pdf").code == 2


def test_fit_writes_it_and_says_so_once(cnntrain: Cnntrain, run_file: Callable[..., Path]) -> None:
    file = run_file({"train.epochs": 1})
    answer = cnntrain("fit", file, "--out", "run")
    assert (answer.code, answer.out) == (0, "run\n")
    assert answer.err.splitlines()[-1] == "page  run/report.html"
    assert "30 test images" in plain(Path("run/report.html").read_text("utf-8"))
    assert cnntrain("fit", file, "--out", "without", "--no-report").code == 0
    assert not Path("without/report.html").exists()


def test_a_run_that_was_killed_while_it_was_written_gets_it(
    cnntrain: Cnntrain, run_file: Callable[..., Path]
) -> None:
    words = ("fit", str(run_file({"train.epochs": 1})), "--resume", "auto", "--out", "run", "-q")
    assert cnntrain(*words).code == 0
    page, draft = Path("run/report.html"), Path("run/report.html.0123456789.tmp")
    page.rename(draft)
    assert cnntrain(*words, "--no-report").code == 0
    assert not page.exists()
    assert cnntrain(*words).code == 0
    assert (page.exists(), draft.exists()) == (True, False)
    written = page.stat().st_mtime_ns
    assert cnntrain(*words).code == 0
    assert page.stat().st_mtime_ns == written


def test_a_page_that_fails_leaves_the_run_as_it_is(
    cnntrain: Cnntrain, run_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("no page")

    monkeypatch.setattr("cnntrain.card.subject.look_at", broken)
    answer = cnntrain("fit", run_file({"train.epochs": 1}), "--out", "run", "-q")
    assert (answer.code, answer.out) == (0, "run\n")
    assert answer.err.count("no page") == 1
    assert "warning: run/report.html is not written: ValueError: no page" in answer.err


def test_a_long_evaluation_is_left_to_the_command(
    cnntrain: Cnntrain, run_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no patience at all the page has the figures that the run has written down."""
    monkeypatch.setattr("cnntrain.cli.report.PATIENCE", 0.0)
    assert cnntrain("fit", run_file({"train.epochs": 1}), "--out", "run", "-q").code == 0
    text = plain(Path("run/report.html").read_text("utf-8"))
    assert "it is left to cnntrain report run" in text
    assert "of 30 test images" in text
    assert "Confusion matrix" not in text


def test_on_a_phone_nothing_but_boxes_scrolls_sideways(page: str, tmp_path: Path) -> None:
    """Chromium lays it out 390 pixels wide; a page with a broad block is found too wide."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip("no Chromium on this machine: install chromium or google-chrome")
    broad = page.replace("<main>", '<main><div style="width: 900px">x</div>')
    size = f'width="{PHONE}" height="900" style="border: 0"'
    frames = "".join(
        f'<iframe {size} srcdoc="{html.escape(each)}"></iframe>' for each in (page, broad)
    )
    measure = """
    <script>onload = () => { document.title = JSON.stringify(Array.from(frames).map(each => [
      each.document.scrollingElement.scrollWidth,
      each.performance.getEntriesByType("resource").map(e => e.name)
        .filter(name => !name.startsWith("data:")),
      [...each.document.images].every(image => image.naturalWidth > 0)])) }</script>"""
    (tmp_path / "frames.html").write_text(f"<!doctype html><title></title>{frames}{measure}")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    flags += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    flags += [f"--user-data-dir={tmp_path / 'profile'}", "--hide-scrollbars", "--dump-dom"]
    done = subprocess.run(
        [browser, *flags, (tmp_path / "frames.html").as_uri()],
        capture_output=True,
        text=True,
        timeout=60,
    )
    title = re.search(r"<title>(.*?)</title>", done.stdout)
    assert title is not None, done.stderr
    ours, control = json.loads(html.unescape(title[1]))
    assert ours == [PHONE, [], True]
    assert control[0] > PHONE
