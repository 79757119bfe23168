"""What happens when something on the page is used: updates for its fields, and one sentence for every error."""

import logging
from collections.abc import Sequence
from pathlib import Path

import gradio as gr

from moai.settling import reason
from moai.web import overlays, views
from moai.web.engine import Engine
from moai.web.session import Session, Settings, checked_question, describe, look_at
from perception.kinds.kind import Kind
from perception.registry import kinds, layers, usual_kinds

EVERY_LAYER = ("All layers, mean", 0)
SEEN, LISTENED = 7, 4
"""Number of fields that show what the experts saw, and whom the model listened to."""
OOPS = "Something went wrong here. Please try once more, or with another picture."


def sentence_of(error: Exception) -> str:
    """What a person is told about an error; what is not meant for people goes to the log."""
    if isinstance(error, ValueError):
        return str(error)
    logging.getLogger("moai.web").error("unexpected error", exc_info=error)
    return OOPS


def messages_of(session: Session) -> list[dict]:
    """The chat as `gr.Chatbot` takes it; a picture stands where the talk about it begins."""
    messages = []
    for turn in session.turns:
        if turn.picture and Path(turn.picture).is_file():  # uploads are deleted after a while
            shown = gr.Image(turn.picture, buttons=[], alt_text=turn.alt_text, show_label=False, interactive=False)
            messages.append({"role": "user", "content": shown})
        messages.append({"role": "user", "content": turn.question})
        answer = turn.answer or ("(stopped)" if turn.stopped else "(no words)" if turn.done else "…")
        messages.append({"role": "assistant", "content": answer})
        if turn.instead_of is not None:
            folded = {"title": "Settled with what experts found", "status": "done"}
            told = f"The model wrote {turn.instead_of}, which {reason(turn.instead_of)}."
            messages.append({"role": "assistant", "content": told, "metadata": folded})
        if turn.drafts:
            folded = {"title": views.drafts_title(turn), "status": "done"}
            messages.append({"role": "assistant", "content": views.drafts_listed(turn), "metadata": folded})
    return messages


def layer_choices(there: Sequence[Kind]) -> dict:
    """The layers that these kinds of experts draw, as choices of a `gr.CheckboxGroup`, all chosen."""
    drawn = [(label, layer) for layer, label in layers().items() if any(one.layer == layer for one in there)]
    return {"choices": drawn, "value": [layer for _, layer in drawn]}


def expert_choices(there: Sequence[Kind]) -> dict:
    """These kinds of experts as choices of a `gr.CheckboxGroup`, all chosen."""
    return {"choices": [(one.label, one.name) for one in there], "value": [one.name for one in there]}


class Handlers:
    """Each method answers one event; the session is its visitor's own."""

    def __init__(self, engine: Engine):
        self.engine = engine

    def ask(self, picture: str | None, question: str) -> str:
        """The named endpoint: one answer; an error is one sentence."""
        try:
            question = checked_question(question)
            look = look_at(self.engine, picture)
            return self.engine.get().ask(look.encoded, question).text
        except Exception as error:
            raise gr.Error(sentence_of(error), print_exception=False) from None

    def on_tick(self):
        """Loading goes on; when it is over the timer rests, and only experts that are there can be switched."""
        about = self.engine.about
        there = [] if about is None else [one for one in kinds() if one.name in about.experts]
        switches = [gr.skip()] * 2
        if about is not None and there != list(usual_kinds()):
            switches = [gr.CheckboxGroup(**layer_choices(there)), gr.CheckboxGroup(**expert_choices(there))]
        return [views.status(self.engine), gr.Timer(active=not self.engine.wait(0)), *switches]

    def on_look(self, session: Session, path: str | None, layers: list[str], progress=gr.Progress()):  # noqa: B008
        """A picture was chosen, or removed: show what the experts see in it."""
        session.wanted = path
        if session.shown == path:
            return [gr.skip()] * SEEN
        try:
            if path:
                while not self.engine.wait(0.3):
                    progress(self.engine.share, desc=self.engine.stage)
                progress(0.3, desc="The experts are looking")
                look = session.see(self.engine, path)
                progress(0.9, desc="Drawing")
                drawn = overlays.annotated(look, layers)
                if session.wanted != path or session.shown == path:
                    return [gr.skip()] * SEEN
                session.shown = path
                return [
                    session,
                    gr.skip(),
                    gr.Image(drawn, alt_text=describe(look.scene)),
                    views.relations(look.scene) if "scene_graph" in look.encoded.experts else "",
                    (views.text_lines(look.scene) if "ocr" in look.encoded.experts else "")
                    + views.other_findings(look.scene),
                    look.words or "The experts saw nothing that they are sure of.",
                    views.expert_times(look),
                ]
        except Exception as error:
            gr.Warning(sentence_of(error), title="This picture cannot be used")
        session.shown = None
        session.forget_image()
        none = gr.Image(None, alt_text="No picture yet")
        return [session, None, none, views.empty(views.WAITING), "", "", ""]

    def on_submit(self, session: Session, question: str) -> str:
        """A question was sent: it waits for the experts, and its field is free for the next."""
        session.waiting.append((question, None))
        return ""

    def on_example(self, example: dict, session: Session) -> str:
        """An example was clicked: its picture is shown, and its question waits instead of all others."""
        session.waiting = [(example["question"], example["picture"])]
        return example["picture"]

    def on_ask(self, session: Session, path: str | None, length: int, temperature: float, twice: bool):
        """Answer the question that waits, as it comes; the charts follow. What cannot be asked is given back."""
        resting = [gr.skip()] * LISTENED
        if not session.waiting:  # several examples were clicked at once, and the last one has been asked
            yield [gr.skip()] * (4 + LISTENED)
            return
        asked, example = session.waiting.pop(0)
        path = path and (example or path)
        stop_on, stop_off = gr.Button(interactive=True), gr.Button(interactive=False)
        settings = Settings.of(length, temperature, twice)
        try:
            for turn in session.answer(self.engine, path, asked, settings):
                if session.shows(turn):
                    button = stop_off if turn.done else stop_on
                    yield [messages_of(session), gr.skip(), views.turn_times(turn), button, *resting]
            if session.gates:
                choices = [EVERY_LAYER, *((f"Layer {gate.layer}", gate.layer) for gate in session.gates)]
                chart, choice = views.gates_chart(session.gates, session.experts), gr.Dropdown(choices, value=0)
                yield [gr.skip(), gr.skip(), gr.skip(), stop_off, chart, choice, *self.on_layer(session, 0)]
            else:
                # What was on its way when the chat was cleared may have come after that.
                speed = gr.skip() if session.shows(turn) else ""
                yield [messages_of(session), gr.skip(), speed, stop_off, *resting]
        except Exception as error:
            gr.Warning(sentence_of(error), title="Not asked")
            sendable = asked.encode(errors="replace").decode()
            yield [messages_of(session), sendable, "", stop_off, *resting]

    def on_stop(self, session: Session) -> None:
        """Stop was pressed."""
        session.stop()

    def on_clear(self, session: Session):
        """The chat is cleared; the picture stays."""
        session.clear()
        layer = gr.Dropdown([EVERY_LAYER], value=0)
        return [[], "", views.gates_chart([]), layer, *self.on_layer(session, 0)]

    def on_layers(self, session: Session, layers: list[str]):
        """Other layers of the annotated picture."""
        return gr.skip() if session.look is None else overlays.annotated(session.look, layers)

    def on_layer(self, session: Session, layer: int):
        """The heat map of another layer."""
        shares = overlays.map_of(session.gates, layer or None)
        if shares is None or session.look is None:
            return gr.Image(None, alt_text="No heat map yet"), views.heat_legend(None)
        alt = f"Heat map: image tokens drew {shares.min():.0%} to {shares.max():.0%} on the experts"
        return gr.Image(overlays.heat_map(session.look.picture, shares), alt_text=alt), views.heat_legend(shares)

    def on_compare(self, session, path, question, kept, moai, length, temperature, progress=gr.Progress()):  # noqa: B008
        """The same question under two conditions."""
        try:
            progress(0.2, desc="Asking both ways")
            question = question.strip() or (session.turns[-1].question if session.turns else "")
            settings = Settings.of(length, temperature, False)
            return views.comparison(question, session.compare(self.engine, path, question, kept, moai, settings))
        except Exception as error:
            gr.Warning(sentence_of(error), title="Not asked")
            return gr.skip()
