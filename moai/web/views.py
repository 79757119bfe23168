"""HTML of the page's panels. Every word from a picture, a model or a person is escaped."""

from collections.abc import Sequence
from html import escape

import numpy as np

from moai.web.engine import Engine
from moai.web.session import Look, Turn, Variant
from perception.kinds import scene_graph
from perception.kinds.canvas import colour_of
from perception.kinds.ocr import OCR_THRESHOLD
from perception.registry import kinds, usual_kinds
from perception.scene import Scene
from perception.words import numbered

WAITING = "Choose a picture, and what the experts see in it appears here before the answer starts."
SHARE_NAMES = {"aux": "experts", "language": "language", "image": "image", "self": "itself"}
_OWN_PANEL = ("relations", "text_lines")
"""Lists of a Scene that have a panel of their own here."""


def empty(sentence: str) -> str:
    """A panel that has nothing to show yet."""
    return f'<p class="empty">{escape(sentence)}</p>'


def status(engine: Engine) -> str:
    """Which model and experts answer; a progress bar while they load."""
    if engine.problem:
        return f'<p class="problem" role="alert">{escape(engine.problem)}</p>'
    if not engine.ready:
        return (
            f'<div class="loading" role="status"><progress max="1" value="{engine.share:.2f}" '
            f'aria-label="Loading"></progress><span>{escape(engine.stage)} …</span></div>'
        )
    about = engine.about
    count = f"{len(about.experts)} expert{'' if len(about.experts) == 1 else 's'}"
    rows = (
        ("Model", f"{about.model}, {about.source}"),
        ("Size", f"{about.parameters / 1e6:,.0f} million parameters on {about.device}"),
        ("Mixers", "decoder layers " + ", ".join(str(layer) for layer in about.mixer_layers)),
        ("Experts", ", ".join(kind.label for kind in kinds() if kind.name in about.experts) or "none"),
        ("Preset", about.experts_from),
    )
    listed = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows)
    return (
        f'<details class="about"><summary><span class="dot"></span>{escape(about.model)} · {count}</summary>'
        f"<dl>{listed}</dl></details>"
    )


def relations(scene: Scene) -> str:
    """Table of relations, surest first; what is not handed on is paler."""
    if not scene.relations:
        return empty("No relations between objects were found here.")
    names, told = numbered(scene.objects), len(scene_graph.told(scene))
    rows = []
    for place, one in enumerate(sorted(scene.relations, key=lambda one: -one.score)):
        subject, object_ = (_tag(names[index], colour_of(scene.objects[index])) for index in (one.subject, one.object))
        rows.append(
            f'<tr class="{_told(place < told)}"><td>{subject}</td>'
            f"<td>{escape(one.predicate)}</td><td>{object_}</td>"
            f'<td class="number">{one.score:.0%}</td></tr>'
        )
    untold = len(rows) - told
    return (
        '<table class="relations"><caption>Relations</caption><thead><tr><th scope="col">Subject</th>'
        '<th scope="col">Relation</th><th scope="col">Object</th><th scope="col" class="number">Sure</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
        + (f'<p class="note">{untold} paler: too unsure to be handed on.</p>' if untold else "")
    )


def _told(yes: bool) -> str:
    return "told" if yes else "untold"


def _tag(text: str, colour: tuple[int, int, int]) -> str:
    red, green, blue = colour
    return f'<span class="tag"><i style="background:rgb({red},{green},{blue})"></i>{escape(text)}</span>'


def text_lines(scene: Scene) -> str:
    """The recognised lines, in reading order; what is not handed on is paler."""
    if not scene.text_lines:
        return empty("No text was read in this picture.")
    return _chips("Recognised text", [(one.text, one.score, one.score >= OCR_THRESHOLD) for one in scene.text_lines])


def other_findings(scene: Scene) -> str:
    """What kinds of experts found that have no panel of their own and whose findings have no place in the picture."""
    panels = []
    for kind in kinds():
        placeless = [one for one in kind.findings(scene) if one.box is None]
        if placeless and not any(part.name in _OWN_PANEL for part in kind.parts):
            panels.append(_chips(kind.label, [(one.what, one.score, True) for one in placeless]))
    return "".join(panels)


def _chips(title: str, found: Sequence[tuple[str, float, bool]]) -> str:
    chips = "".join(
        f'<li class="{_told(told)}"><q>{escape(text)}</q> <small>{score:.0%}</small></li>'
        for text, score, told in found
    )
    return f'<h4>{escape(title)}</h4><ul class="lines">{chips}</ul>'


def expert_times(look: Look) -> str:
    """How long each expert took, as bars; they run side by side."""
    ran = [kind for kind in kinds() if kind.name in look.scene.timings]
    longest = max([look.scene.timings[kind.name] for kind in ran] + [1e-3])
    rows = []
    for kind in ran:
        seconds = look.scene.timings[kind.name]
        rows.append(
            f'<tr><th scope="row">{_tag(kind.label, kind.colour)}</th>'
            f'<td class="number">{len(kind.findings(look.scene))}</td>'
            f'<td class="bar"><i style="width:{max(1.0, 100 * seconds / longest):.0f}%"></i></td>'
            f'<td class="number">{seconds:.2f} s</td></tr>'
        )
    warnings = "".join(f'<p class="problem">{escape(one)}.</p>' for one in look.scene.warnings)
    absent = [kind.label for kind in usual_kinds() if kind.name not in look.encoded.experts]
    if absent:
        warnings += f'<p class="note">Not among these experts: {escape(", ".join(absent))}.</p>'
    return (
        '<table class="times"><caption>Time per expert</caption><thead><tr><th scope="col">Expert</th>'
        '<th scope="col" class="number">Found</th><th scope="col"><span class="hidden">Bar</span></th>'
        f'<th scope="col" class="number">Time</th></tr></thead><tbody>{"".join(rows)}</tbody></table>{warnings}'
    )


def gates_chart(gates: Sequence, experts: Sequence = ()) -> str:
    """For each mixer layer, whom image and language tokens listened to, as stacked bars; for each sparse layer of the
    decoder, which of its experts they took."""
    if not gates:
        return empty("Ask a question, and whom each mixer layer listened to appears here.")
    parts = []
    for side, title in (("image", "Image tokens"), ("language", "Language tokens")):
        bars = "".join(_stacked(f"Layer {gate.layer}", getattr(gate, side)) for gate in gates)
        legend = "".join(
            f'<span><i class="share {name}"></i>{SHARE_NAMES[name]}</span>' for name in getattr(gates[0], side)
        )
        parts.append(f'<section><h4>{title} listened to</h4><p class="legend">{legend}</p>{bars}</section>')
    return f'<div class="gates">{"".join(parts)}{_experts_charts(experts)}</div>'


def _experts_charts(experts: Sequence) -> str:
    """The routed experts of each sparse layer as columns, as high as their share of the tokens' choices."""
    parts = []
    sides = {"image": "Image tokens", "words": "Words of the question", "answer": "Words of the answer"}
    for side, title in sides.items():
        rows = "".join(_columns(f"Layer {loads.layer}", getattr(loads, side)) for loads in experts)
        if rows:
            parts.append(f"<section><h4>{title} took these of the decoder’s experts</h4>{rows}</section>")
    return "".join(parts)


def _columns(title: str, shares: Sequence[float]) -> str:
    if not any(shares):
        return ""
    highest = max(shares)
    pieces = "".join(
        f'<i style="height:{100 * share / highest:.0f}%" title="Expert {number}: {share:.1%}"></i>'
        for number, share in enumerate(shares, 1)
    )
    busiest = sorted(range(len(shares)), key=lambda place: -shares[place])[:3]
    spoken = ", ".join(f"expert {place + 1} {shares[place]:.0%}" for place in busiest if shares[place])
    label = escape(f"{title}: most often {spoken}", quote=True)
    return f'<div class="row"><b>{title}</b><div class="columns" role="img" aria-label="{label}">{pieces}</div></div>'


def _stacked(title: str, shares: dict[str, float]) -> str:
    spoken = ", ".join(f"{SHARE_NAMES[name]} {share:.0%}" for name, share in shares.items())
    pieces = "".join(
        f'<i class="share {name}" style="width:{100 * share:.2f}%" title="{SHARE_NAMES[name]} {share:.1%}">'
        f"{f'{share:.0%}' if share >= 0.12 else ''}</i>"
        for name, share in shares.items()
    )
    label = escape(f"{title}: {spoken}", quote=True)
    return f'<div class="row"><b>{title}</b><div class="stack" role="img" aria-label="{label}">{pieces}</div></div>'


def heat_legend(shares: np.ndarray | None) -> str:
    """What the colours of the heat map mean."""
    if shares is None:
        return empty("Ask a question, and a heat map over the picture shows where it drew on the experts.")
    low, high = float(shares.min()), float(shares.max())
    if high - low < 0.005:
        return f'<p class="note">Everywhere the same: image tokens drew {low:.0%} on the experts.</p>'
    return (
        f'<p class="scale"><span>{low:.1%}</span><i></i><span>{high:.1%}</span></p>'
        '<p class="note">Share of the experts’ knowledge in each part of the picture.</p>'
    )


def turn_times(turn: Turn) -> str:
    """One line about the answer's speed."""
    if not turn.done:
        return "Answering …"
    ended = "stopped" if turn.stopped else "answered"
    first = f"first word after {turn.first_token:.2f} s, " if turn.first_token is not None else ""
    return f"{first}{ended} after {turn.seconds:.2f} s{_agreement(turn)}"


def _agreement(turn: Turn) -> str:
    """How many drafts agree, as a bar, and what that is worth."""
    if turn.agreement is None:
        return ""
    # As docs/results.md has it: where all agree 97 (drawn) or 83 (photographs) of 100 are right; where most do, half.
    worth = "usually right" if turn.agreement == 1 else "uncertain" if turn.agreement > 0.5 else "doubtful"
    said = f"{drafts_title(turn)}: {worth}"
    return (
        f'<span class="agreement" role="img" aria-label="{escape(said, quote=True)}">'
        f'<i style="width:{100 * turn.agreement:.0f}%"></i></span>{escape(said)}'
    )


def drafts_title(turn: Turn) -> str:
    """How many of a turn's drafts say what most of them say."""
    most = max(draft.votes for draft in turn.drafts)
    return f"{most} of {len(turn.drafts)} drafts agree"


def drafts_listed(turn: Turn) -> str:
    """A turn's drafts in plain text, those that say the same once."""
    same: dict[str, int] = {}
    for draft in turn.drafts:
        same[draft.text] = same.get(draft.text, 0) + 1
    return "\n".join(
        f"{count} × {text or '(no words)'}" for text, count in sorted(same.items(), key=lambda one: -one[1])
    )


def comparison(question: str, variants: Sequence[Variant]) -> str:
    """Answers side by side, with what each was told."""
    first = variants[0]
    cards = []
    for one in variants:
        changed = one is not first and one.answer != first.answer
        verdict = "" if one is first else f'<p class="verdict">{"Another answer" if changed else "The same answer"}</p>'
        words = escape(one.words) if one.words else "nothing"
        listened = "" if one.listened is None else f"<p>Words listened {one.listened:.0%} to the experts</p>"
        cards.append(
            f'<article class="card{" changed" if changed else ""}"><h4>{escape(one.title)}</h4>'
            f'<p class="said">{escape(one.answer) or "(no words)"}</p>{verdict}'
            f'{listened}<p class="note">{one.seconds:.2f} s</p>'
            f'<details><summary>The experts told it</summary><p class="words">{words}</p></details></article>'
        )
    return f'<p class="asked">{escape(question)}</p><div class="cards">{"".join(cards)}</div>'
