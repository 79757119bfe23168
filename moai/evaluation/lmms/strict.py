"""lmms-eval, imported without what it does to the rest of the process."""

import importlib
import os
from contextlib import contextmanager

from PIL import ImageFile

_KEY = "OPENAI_API_KEY"


def import_lmms_eval(module: str):
    """A module of lmms-eval, with Pillow strict about truncated pictures afterwards, whoever imported it first.

    `lmms_eval.api.task` makes Pillow fill the missing part of a truncated file with grey; a benchmark would then be
    answered about pictures that nobody took. Raises ValueError, with one sentence, when the package is missing.
    """
    try:
        with some_key():
            return importlib.import_module(f"lmms_eval.{module}")
    except ImportError as error:
        if (error.name or "").split(".")[0] == "lmms_eval":
            raise ValueError("lmms-eval is not installed; pip install 'moai-vlm[bench]'") from error
        raise ValueError(f"lmms-eval needs the package {error.name}; pip install 'moai-vlm[bench]'") from error
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False


@contextmanager
def some_key():
    """Inside, the key of a judge is set: two tasks make a client for theirs as they are imported, and fail without."""
    absent = _KEY not in os.environ
    if absent:
        os.environ[_KEY] = "none"
    try:
        yield
    finally:
        if absent:
            del os.environ[_KEY]


def evaluate(model, tasks: list, limit: int | None = None) -> dict | None:
    """lmms-eval's results for a model and tasks, both loaded; None in all but the first of several processes."""
    # An empty index: the harness would read two thousand task files to find the tasks that it is given.
    index = import_lmms_eval("tasks").TaskManager(include_defaults=False)
    return import_lmms_eval("evaluator").simple_evaluate(
        model=model, tasks=tasks, task_manager=index, limit=limit, bootstrap_iters=0, process_docs_parallel=1
    )
