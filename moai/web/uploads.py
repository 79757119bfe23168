"""Which files people may ask about: those that they uploaded here, and the examples; no other file of this machine."""

from abc import ABCMeta

import gradio as gr
from gradio.context import LocalContext
from gradio.data_classes import FileData, ImageData
from gradio_client.utils import is_file_obj_with_meta, traverse

from moai.web.examples import DRAWN, listed_in, photographs

NOT_UNDERSTOOD = "This is nothing that the fields of the page send. Load the page anew."
NOT_HERE = "This picture is not here: upload one, paste one, use the camera or click an example."
_EXAMPLE_PATHS = frozenset(one["picture"] for folder in (DRAWN, photographs()) for one in listed_in(folder))


def permitted(path: object) -> str | None:
    """The path that a browser or a client sent, when it is that of an upload or an example; None stays None.

    It is compared as text with the paths that this server gave out: no file is touched, so neither the sentence nor
    the time it takes tells which files exist. Raises gr.Error with one sentence for everything else.
    """
    if path is None:
        return None
    blocks = LocalContext.blocks.get(None)
    uploaded = set() if blocks is None else blocks.upload_file_set
    if not isinstance(path, str) or not (path in _EXAMPLE_PATHS or path in uploaded):
        raise gr.Error(NOT_HERE, title="This picture cannot be used", print_exception=False)
    return path


class _WithoutStub(type(gr.Image)):
    """Gradio's own metaclass writes a stub file beside the source of every component; this one does not."""

    def __new__(cls, name, bases, attributes):
        return ABCMeta.__new__(cls, name, bases, attributes)


class UploadedImage(gr.Image, metaclass=_WithoutStub):
    """A `gr.Image` whose value is the path of the file as it was uploaded, unopened; None when there is none.

    Bad files get our sentence that way, and transparent ones are laid on white as everywhere.
    """

    is_template = True  # drawn by the browser as what it derives from

    def preprocess(self, payload: ImageData | None) -> str | None:
        """The path; raises gr.Error for one that is neither that of an upload nor of an example."""
        return permitted(None if payload is None else payload.path)


class CheckedBlocks(gr.Blocks):
    """Blocks that look at every file that an event brings before gradio itself opens, copies or fetches it."""

    async def preprocess_data(self, block_fn, inputs, *rest, **options):
        """As in gradio; raises gr.Error for a file that is neither an upload nor an example, in any field.

        Also for values that a field cannot hold: people get a sentence, and the log no traceback.
        """
        checked = []
        for block, value in zip(block_fn.inputs, inputs, strict=False):
            if isinstance(block, UploadedImage):
                path = permitted(value.get("path") if isinstance(value, dict) else value)
                value = None if path is None else FileData(path=path).model_dump()
            else:
                traverse(value, lambda file: permitted(file["path"]), is_file_obj_with_meta)
            checked.append(value)
        try:
            return await super().preprocess_data(block_fn, checked + inputs[len(checked) :], *rest, **options)
        except Exception as error:
            raise gr.Error(NOT_UNDERSTOOD, print_exception=False) from error
