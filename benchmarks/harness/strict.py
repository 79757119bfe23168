"""lmms-eval, imported without what it does to the rest of the process."""

import importlib

from PIL import ImageFile


def import_lmms_eval(module: str):
    """A module of lmms-eval, with Pillow's setting for truncated pictures as it was before.

    `lmms_eval.api.task` makes Pillow fill the missing part of a truncated file with grey; a benchmark would then be
    answered about pictures that nobody took. Raises ValueError, with one sentence, when the package is missing.
    """
    before = ImageFile.LOAD_TRUNCATED_IMAGES
    try:
        return importlib.import_module(f"lmms_eval.{module}")
    except ImportError as error:
        if (error.name or "").split(".")[0] == "lmms_eval":
            raise ValueError("lmms-eval is not installed; pip install 'moai-vlm[bench]'") from error
        raise ValueError(f"lmms-eval needs the package {error.name}; pip install 'moai-vlm[bench]'") from error
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before
