"""`cnntrain features`: what a layer gives for every image, in a file."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from cnntrain.cli import output
from cnntrain.cli.options import Force, Json, Layer, Overrides, Plugins, SplitName, Trained, opened
from cnntrain.core.errors import UsageError


def features(  # noqa: PLR0913  # one parameter for each option
    run: Trained,
    layer: Layer = None,
    split: SplitName = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help=".npz, .csv or .parquet. Default: features.npz, or features-conv2-test.npz if "
            "they are given.",
        ),
    ] = None,
    pool: Annotated[
        int | None,
        typer.Option(min=1, help="Average maps over regions, to at most so many features."),
    ] = None,
    force: Force = False,
    overrides: Overrides = None,
    plugins: Plugins = None,
    as_json: Json = False,
) -> None:
    """Write a layer's features of every image into a file.

    By default what the last linear layer reads. The .npz holds features, labels, files, classes
    and layer; a .csv or .parquet has a row per image.
    """
    from cnntrain.cli.pictures import file_to_write

    suffixes = (".npz", ".csv", ".parquet")
    asked = {"layer": layer, "split": split}
    words = ["features", *(word for word in asked.values() if word)]
    file = file_to_write(out, words, run, asked=asked, force=force,
                         overrides=overrides or [], plugins=plugins or [],
                         suffixes=suffixes)  # fmt: skip
    if file.suffix.lower() == ".parquet" and find_spec("pyarrow") is None:
        raise UsageError(".parquet needs pyarrow", remedy="pip install pyarrow, or write .npz")
    from cnntrain.data.left_out import plain
    from cnntrain.explain.feature_file import write_features

    model = opened(run, overrides=overrides, plugins=plugins)
    found = model.features(layer, split=split, pool=pool)
    write_features(found, file)
    images, size = found.values.shape
    if as_json:
        facts = {"layer": found.layer, "split": found.split, "images": images, "features": size}
        output.result_json({"file": str(file), **facts, "left_out": plain(found.left_out)})
        return
    output.note(f"{found.layer}: {size:,} features of {images:,} {found.split} images")
    output.result(str(file))
