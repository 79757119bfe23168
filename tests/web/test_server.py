"""Starting the page: what cannot work is told at once, in one sentence."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from moai.web.server import serve
from tests import warm

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("host", "port", "told"),
    [
        ("127.0.0.1", 99999, "there is no port 99999; allowed are 1 to 65535"),
        ("127.0.0.1", 0, "there is no port 0"),
        ("no such host", 7860, "nothing can listen at no such host, port 7860"),
        ("192.0.2.1", None, "nothing can listen at 192.0.2.1 "),
    ],
)
def test_an_address_that_is_none(host, port, told):
    with pytest.raises(ValueError, match=told):
        serve(host=host, port=port)


def test_a_port_that_is_taken_and_a_model_that_is_not_there_end_in_a_sentence(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for option, value, told in (
            ("--port", str(taken.getsockname()[1]), "in use"),
            ("--model", str(tmp_path), "no MoAI model"),
        ):
            command = [sys.executable, "app.py", "--port", str(_free_port()), option, value]
            ended = warm.run(command, ROOT, os.environ)
            assert ended.returncode == 2 and ended.stderr.startswith("moai: ") and told in ended.stderr
            assert ended.stderr.count("\n") == 1


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def test_help_is_there_without_waiting_for_gradio():
    code = "import sys, moai.web.server; sys.exit('gradio' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
