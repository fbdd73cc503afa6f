"""Catalogues, facts and folders must be readable without the seconds that torch takes."""

import subprocess
import sys

CODE = """
import sys
from cnntrain.data import DATASETS, TRANSFORMS
from cnntrain.data.metadata import facts
DATASETS.entries(), TRANSFORMS.entries()
facts("mnist", {}), facts("image_folder", {"root": "/x", "train_folder": "train",
                                            "classes": None, "channels": 3})
facts("webdataset", {"root": "/x", "channels": 3})
assert "torch" not in sys.modules, "torch was imported"
"""


def test_facts_and_catalogues_import_no_torch() -> None:
    subprocess.run([sys.executable, "-c", CODE], check=True)
