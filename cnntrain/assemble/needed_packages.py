"""Libraries that are installed apart, as the extras of cnntrain."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

from cnntrain.config.loaded import Loaded
from cnntrain.core.problems import Problem


def missing_packages(given: Loaded) -> Iterator[Problem]:
    """Libraries that observers and the decoder need and that are not installed; none is imported.

    Only where the run file is trained: a trained network is opened without them.
    """
    for index, call in enumerate(given.config.record.observers):
        for package in call.entry.options.get("needs", ()):
            if importlib.util.find_spec(package) is None:
                message = f"the observer '{call.name}' needs the package {package}"
                remedy = f"pip install 'cnntrain[{call.entry.options['extra']}]'"
                path = ("record", "observers", index)
                yield given.problem(path, f"{message}, which is not installed", remedy)
    if given.config.data.decoder == "simplejpeg" and importlib.util.find_spec("simplejpeg") is None:
        message = "the decoder 'simplejpeg' needs the package simplejpeg, which is not installed"
        yield given.problem(("data", "decoder"), message, "pip install 'cnntrain[fast]'")
