"""Uploads are gone when the page ends: on SIGTERM at once, after kill -9 when the next page starts."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from moai.web.folder import sweep, upload_folder
from tests import warm
from tests.robustness.started import free_port

ROOT = Path(__file__).resolve().parents[2]
HOLDS = """
import sys
from moai.web.folder import upload_folder
with upload_folder() as folder:
    (folder / "picture.png").write_bytes(b"somebody's")
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def parent(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def killed_and_alive(parent):
    """The folders of a page that was killed and of one that runs."""
    code = [sys.executable, "-c", HOLDS]
    pages = [subprocess.Popen(code, cwd=ROOT, stdin=-1, stdout=-1, text=True) for _ in range(2)]
    folders = [Path(page.stdout.readline().strip()) for page in pages]
    pages[0].kill()
    pages[0].wait(20)
    yield folders
    for page in pages:
        page.communicate()


def test_what_a_killed_page_left_is_removed_when_the_next_one_starts(killed_and_alive, parent):
    killed, alive = killed_and_alive
    assert (killed / "picture.png").is_file()
    with upload_folder() as folder:
        assert not killed.exists() and (alive / "picture.png").is_file()
        assert os.environ["GRADIO_TEMP_DIR"] == str(folder) and folder.stat().st_mode & 0o077 == 0
    assert not folder.exists() and os.environ["GRADIO_TEMP_DIR"] == str(parent)
    sweep(parent)
    assert alive.exists()


def test_what_others_keep_beside_it_stays(parent):
    (parent / "other").mkdir()
    (parent / "moai-page-file").write_text("no folder")
    with upload_folder():
        pass
    assert sorted(one.name for one in parent.iterdir()) == ["moai-page-file", "other"]


def test_sigterm_ends_the_page_and_removes_the_uploads(parent):
    command = [sys.executable, "-u", "app.py", "--model", "moai-nano", "--port", str(port := free_port())]
    read, write = os.pipe()
    page = warm.Started(command, ROOT, os.environ, write, write)
    os.close(write)
    with open(read) as output:
        try:
            assert output.readline().startswith("MoAI is at")
            address = f"http://127.0.0.1:{port}/gradio_api/upload"
            (path,) = httpx.post(address, files={"files": ("a.png", b"somebody's")}, timeout=60).json()
            assert Path(path).is_relative_to(parent) and Path(path).is_file()
            page.send_signal(signal.SIGTERM)
            code = page.wait(60)
        finally:
            page.kill()
        said = output.read()
    assert code == 0 and "Traceback" not in said, said
    assert list(parent.iterdir()) == []
