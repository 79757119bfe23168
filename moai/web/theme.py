"""Colours and fonts of the page; what gradio has no setting for stands in `page.css`."""

from pathlib import Path

import gradio as gr

CSS = Path(__file__).with_name("page.css")
TOGGLE = """() => {
  document.body.classList.toggle('dark');
  document.body.style.background = 'var(--body-background-fill)';
}"""
"""JavaScript that changes between light and dark."""
_COLOURS = {
    "block_border_width": "1px",
    "block_border_width_dark": "1px",
    "body_text_color_subdued": "*neutral_500",
    "body_text_color_subdued_dark": "*neutral_400",
    "block_label_background_fill": "*background_fill_primary",
    "block_label_background_fill_dark": "*background_fill_primary",
    "block_label_text_color": "*neutral_600",
    "block_label_text_color_dark": "*neutral_300",
    "block_title_background_fill": "none",
    "block_title_background_fill_dark": "none",
    "block_title_text_color": "*neutral_600",
    "block_title_text_color_dark": "*neutral_300",
    "block_title_padding": "0",
    "checkbox_label_background_fill_selected": "*primary_50",
    "checkbox_label_background_fill_selected_dark": "*primary_900",
    "checkbox_label_text_color_selected": "*primary_900",
    "checkbox_label_text_color_selected_dark": "*primary_50",
}


def theme() -> gr.themes.ThemeClass:
    """Indigo on slate, in the fonts of the system."""
    fonts = {"font": ["system-ui", "sans-serif"], "font_mono": ["ui-monospace", "monospace"]}
    return gr.themes.Soft(primary_hue="indigo", neutral_hue="slate", **fonts).set(**_COLOURS)
