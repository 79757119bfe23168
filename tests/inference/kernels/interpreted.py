"""Kernels on the CPU, computed by triton's interpreter."""

import inspect
import os
import subprocess
import sys
from collections.abc import Callable
from types import ModuleType

_PROGRAM = """
from importlib.util import module_from_spec, spec_from_file_location
import torch
here = spec_from_file_location("kernel", {file!r})
kernel = module_from_spec(here)
here.loader.exec_module(kernel)
{helper}
{check}
{call}
print("same")
"""


def run_interpreted(kernel: ModuleType, helper: Callable, check: Callable, *given: object) -> None:
    """`check(kernel, helper, *given)` in a process of its own, where kernels are interpreted. Both functions' text is
    all that they may need beside `torch`."""
    call = f"{check.__name__}(kernel, {helper.__name__}, *{given!r})"
    texts = {"helper": inspect.getsource(helper), "check": inspect.getsource(check)}
    # Told before triton is imported; of ours the kernel's file alone, as all the rest takes long.
    program = _PROGRAM.format(file=kernel.__file__, call=call, **texts)
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    told = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert told.stdout == "same\n", told.stderr[-2000:]
