"""Fetches the common test suites of the installed transformers from its source distribution on PyPI.

They are unpacked into a cache folder as the package `transformers_tests`, once for each version.
"""

import os
import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import version
from pathlib import Path

from PIL import Image

PACKAGE = "transformers_tests"
PICTURE = "picture.png"
NOT_DISTRIBUTED = {
    f"{PACKAGE}/generation/test_utils.py": "class GenerationTesterMixin: ...\n",
    f"{PACKAGE}/exporters/test_export.py": "class ExportTesterMixin: ...\n",
    "utils/fetch_hub_objects_for_ci.py": f"""from pathlib import Path


def url_to_local_path(url):
    return str(Path(__file__).parents[1] / "{PICTURE}") if url.endswith(".png") else url
""",
}
"""Files that the suites import and the source distribution leaves out, with what stands in for them."""


def suites_folder() -> Path:
    """Where the suites of the installed transformers are, or will be once fetched."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return cache / "moai" / "suites" / f"transformers-{version('transformers')}"


def fetch() -> Path:
    """The folder that holds `transformers_tests`; downloads it if it is not there."""
    folder = suites_folder()
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as place:
        wanted = f"transformers=={version('transformers')}"
        options = ("--quiet", "--no-deps", "--no-binary", "transformers", "--dest", place)
        subprocess.run([sys.executable, "-m", "pip", "download", *options, wanted], check=True)
        with tarfile.open(next(Path(place).glob("*.tar.gz"))) as archive:
            archive.extractall(place, filter="data")
        unpacked = Path(place) / "unpacked"
        unpacked.mkdir()
        next(Path(place).glob("*/tests")).rename(unpacked / PACKAGE)
        for name, text in NOT_DISTRIBUTED.items():
            path = unpacked / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        Image.effect_noise((64, 48), 90).convert("RGB").save(unpacked / PICTURE)
        unpacked.rename(folder)
    return folder


if __name__ == "__main__":
    print(fetch())
