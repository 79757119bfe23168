"""A picture field that hands over the uploaded file itself, so that bad files get our sentence and not an error."""

import gradio as gr


def image_input(**options) -> gr.Image:
    """A `gr.Image` whose value is the path of the file as it was uploaded, unopened; None when there is none.

    Gradio has checked by then that the path lies in its own folder of uploads.
    """
    field = gr.Image(type="filepath", **options)
    # Not a subclass: gradio writes a stub file beside the source of every one.
    field.preprocess = lambda payload: None if payload is None else payload.path
    return field
