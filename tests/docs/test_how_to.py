"""The how-tos work as written, and cost as many files and lines as they say."""

import re
from pathlib import Path

import pytest
from PIL import Image

from tests.docs.pages import ROOT, Copy, blocks, sections

PAGES = sorted((ROOT / "docs" / "how_to").glob("*.md"))

pytestmark = pytest.mark.slow


@pytest.fixture
def copy(tmp_path) -> Copy:
    """A copy of the project with a photograph of a person in it."""
    data = pytest.importorskip("skimage.data")
    copy = Copy(tmp_path)
    Image.fromarray(data.astronaut()).save(tmp_path / "photo.jpg")
    return copy


@pytest.mark.parametrize(
    "page", [pytest.param(page, id=page.stem, marks=pytest.mark.xdist_group(page.stem)) for page in PAGES]
)
def test_the_page_works_and_counts(page: Path, copy):
    for title, text in sections(page).items():
        copy.files = copy.lines = 0
        counted = re.search(r"Counted: (\d+) files?, (\d+) lines?\.", text)
        for block in blocks(text[: counted.end()] if counted else text):
            copy.follow(block)
        if counted:
            assert (copy.files, copy.lines) == tuple(map(int, counted.groups())), title
            for block in blocks(text[counted.end() :]):
                copy.follow(block)
