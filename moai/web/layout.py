"""The layout of the page, and what happens when something on it is used."""

import functools

import gradio as gr

from moai.web import views
from moai.web.engine import Engine
from moai.web.examples import examples_for
from moai.web.handlers import EVERY_LAYER, Handlers, expert_choices, layer_choices
from moai.web.session import DRAFTS, MAX_QUESTION_LENGTH, Session
from moai.web.theme import TOGGLE
from moai.web.uploads import CheckedBlocks, UploadedImage
from perception.registry import usual_kinds

MAX_AT_ONCE = 4
KEPT_SECONDS = 2 * 3600


class Page:
    """The fields of the page in their places, and the events that join them to the handlers."""

    def __init__(self, engine: Engine):
        self.engine = engine
        self.handlers = Handlers(engine)
        self.examples = examples_for(engine.model, engine.experts_from)
        gr.set_static_paths([one["picture"] for one in self.examples])
        with CheckedBlocks(
            title="MoAI", analytics_enabled=False, delete_cache=(600, KEPT_SECONDS), fill_width=True
        ) as self.blocks:
            self.session = gr.State(Session(), time_to_live=KEPT_SECONDS)
            self._heading()
            with gr.Row(equal_height=False):
                with gr.Column(scale=5, min_width=330):
                    self._left()
                with gr.Column(scale=6, min_width=330), gr.Tabs():
                    with gr.Tab("Experts saw"):
                        self._evidence()
                    with gr.Tab("Listened to"):
                        self._listening()
                    with gr.Tab("What if"):
                        self._what_if()
            self._events()
            self._endpoint()

    def _heading(self) -> None:
        with gr.Row(elem_id="top"):
            with gr.Column(scale=4, min_width=240):
                gr.HTML(
                    "<h1>MoAI</h1><p>Ask about a picture, and see the evidence for each answer.</p>", elem_id="title"
                )
            with gr.Column(scale=2, min_width=180):
                self.status = gr.HTML(views.status(self.engine), elem_id="status")
            self.theme = gr.Button("◐ Theme", elem_id="theme", size="sm", scale=0, min_width=90)
        self.timer = gr.Timer(0.5, active=not self.engine.ready)

    def _left(self) -> None:
        self.picture = UploadedImage(
            label="Picture",
            sources=["upload", "clipboard", "webcam"],
            height=300,
            buttons=["fullscreen"],
            placeholder="Drop a picture here\n- or -\nclick to choose one",
            alt_text="The picture that you chose",
            elem_id="picture",
        )
        with gr.Row(elem_id="examples"):
            self.example_buttons = [
                gr.Button(one["question"], icon=one["picture"], elem_classes="example", size="sm")
                for one in self.examples
            ]
        self.chat = gr.Chatbot(
            label="Chat",
            height=330,
            elem_id="chat",
            buttons=["copy"],
            allow_file_downloads=False,
            render_markdown=False,
            latex_delimiters=[],
            placeholder="Choose a picture or click an example, then ask.",
        )
        self.question = gr.Textbox(
            placeholder="Ask about the picture; Enter sends",
            label="Question",
            max_length=MAX_QUESTION_LENGTH,
            lines=1,
            max_lines=4,
            submit_btn="Send",
            autofocus=True,
            elem_id="question",
        )
        self.speed = gr.HTML("", elem_id="speed")
        with gr.Row():
            self.stop = gr.Button("Stop", variant="stop", interactive=False, elem_id="stop", size="sm", min_width=90)
            self.clear = gr.Button("Clear chat", elem_id="clear", size="sm", min_width=90)
            about = f"{DRAFTS} drafts vote"
            self.twice = gr.Checkbox(
                False, label="Think twice", info=about, elem_id="twice", container=False, min_width=110
            )
        with gr.Accordion("Settings", open=False, elem_id="settings"):
            self.length = gr.Slider(1, 256, 96, step=1, label="Longest answer (tokens)")
            self.temperature = gr.Slider(
                0, 1.5, 0, step=0.1, label="Temperature", info="0 is greedy: the same answer every time"
            )

    def _evidence(self) -> None:
        self.layers = gr.CheckboxGroup(**layer_choices(usual_kinds()), label="Show", elem_id="layers")
        self.annotated = gr.Image(
            label="Annotated picture",
            interactive=False,
            format="webp",
            height=430,
            buttons=["download", "fullscreen"],
            alt_text="No picture yet",
            elem_id="annotated",
        )
        self.relations = gr.HTML(views.empty(views.WAITING), elem_id="relations", elem_classes="panel")
        self.lines = gr.HTML("", elem_id="lines", elem_classes="panel")
        self.words = gr.Textbox(
            label="The exact words handed to the compressor",
            lines=3,
            max_lines=8,
            interactive=False,
            buttons=["copy"],
            elem_id="words",
        )
        self.times = gr.HTML("", elem_id="times", elem_classes="panel")
        self.seen = [self.session, self.picture, self.annotated, self.relations, self.lines, self.words, self.times]

    def _listening(self) -> None:
        self.gates = gr.HTML(views.gates_chart([]), elem_id="gates", elem_classes="panel")
        self.layer = gr.Dropdown([EVERY_LAYER], value=0, label="Heat map of", elem_id="layer")
        self.heat = gr.Image(
            label="Heat map",
            interactive=False,
            format="webp",
            height=400,
            buttons=["download", "fullscreen"],
            alt_text="No heat map yet",
            elem_id="heat",
        )
        self.scale = gr.HTML(views.heat_legend(None), elem_classes="panel", elem_id="scale")
        self.listened = [self.gates, self.layer, self.heat, self.scale]

    def _what_if(self) -> None:
        gr.Markdown("Switch experts off and ask again: both answers appear side by side.")
        self.kept = gr.CheckboxGroup(**expert_choices(usual_kinds()), label="Experts that speak", elem_id="kept")
        self.moai = gr.Checkbox(True, label="MoAI as a whole (off: the plain backbone answers)", elem_id="moai")
        self.again = gr.Textbox(
            label="Question",
            placeholder="Empty: the last question again",
            max_length=MAX_QUESTION_LENGTH,
            elem_id="again",
        )
        self.compare = gr.Button("Ask both ways", variant="primary", elem_id="compare")
        self.compared = gr.HTML(
            views.empty("Nothing compared yet."), elem_id="compared", elem_classes="panel", min_height=80
        )

    def _events(self) -> None:
        does = self.handlers
        private = {"api_visibility": "private"}
        quiet = private | {"show_progress": "hidden", "queue": False}
        working = private | {"concurrency_id": "model", "concurrency_limit": MAX_AT_ONCE}
        progress = [self.status, self.timer, self.layers, self.kept]
        self.timer.tick(does.on_tick, None, progress, **quiet)
        self.blocks.load(does.on_tick, None, progress, **quiet)
        self.theme.click(None, js=TOGGLE, **private)
        look = {"fn": does.on_look, "inputs": [self.session, self.picture, self.layers], "outputs": self.seen}
        look |= {"show_progress_on": [self.annotated]}
        # Not input or clear: when a picture is removed, those still bring it along.
        self.picture.change(**look, **working)
        ask = {
            "fn": does.on_ask,
            "inputs": [self.session, self.picture, self.length, self.temperature, self.twice],
            "outputs": [self.chat, self.question, self.speed, self.stop, *self.listened],
            "show_progress": "hidden",
        }
        submitted = self.question.submit(does.on_submit, [self.session, self.question], self.question, **quiet)
        steps = working | {"trigger_mode": "multiple"}  # what comes while an answer is under way waits for it
        submitted.then(**look, **steps).then(**ask, **steps)
        for button, example in zip(self.example_buttons, self.examples, strict=True):
            chosen = button.click(functools.partial(does.on_example, example), self.session, self.picture, **quiet)
            chosen.then(**look, **steps).then(**ask, **steps)
        self.stop.click(does.on_stop, self.session, None, **quiet)
        self.clear.click(does.on_clear, self.session, [self.chat, self.speed, *self.listened], **quiet)
        self.chat.clear(does.on_clear, self.session, [self.chat, self.speed, *self.listened], **quiet)
        drawn = private | {"trigger_mode": "always_last"}
        self.layers.input(does.on_layers, [self.session, self.layers], self.annotated, **drawn)
        self.layer.input(does.on_layer, [self.session, self.layer], [self.heat, self.scale], **drawn)
        compare = {
            "fn": does.on_compare,
            "inputs": [self.session, self.picture, self.again, self.kept, self.moai, self.length, self.temperature],
            "outputs": self.compared,
        }
        self.compare.click(**compare, **working)
        self.again.submit(**compare, **working)

    def _endpoint(self) -> None:
        with gr.Row(visible=False):
            picture, question, answer = UploadedImage(label="picture"), gr.Textbox(label="question"), gr.Textbox()
            gr.Button().click(
                self.handlers.ask,
                [picture, question],
                answer,
                api_name="ask",
                api_description="Answer one question about one picture.",
                concurrency_id="model",
                concurrency_limit=MAX_AT_ONCE,
            )
