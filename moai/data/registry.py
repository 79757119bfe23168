"""Which sources of training data there are, and the data set of a run. Adding a source: its file, and its line here."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import Any

from moai.data.conversations.conversation import Conversations
from moai.data.conversations.source import READING, conversation_source
from moai.data.example import Source
from moai.data.mixture import Mixture
from moai.data.rows import ImageRows, Rows, RowSizes, TextRows, WordRows
from moai.data.samples import Samples
from moai.data.wordings import Reworded
from moai.models.processing import MoAIProcessor
from perception.presets import DEFAULT

# By name, since a source brings libraries and data along. What is named is called with the rows that its examples
# become, the seed of the run and the settings of the source.
SOURCES: dict[str, str] = {
    "drawn": "moai.data.drawn.source:drawn_source",
    "photographs": "moai.data.photographs.source:Photographs",
    "worded": "moai.data.worded.source:Worded",
    "instructions": "moai.data.instructions.source:Instructions",
    "drafts": "moai.data.drafts:Drafts",
}

# Conversations about pictures, as files hold them: called with the settings of their own, and read by
# `moai.data.conversations.source`, which has some more.
CONVERSATIONS: dict[str, str] = {
    "llava": "moai.data.conversations.llava:Llava",
    "messages": "moai.data.conversations.messages:Messages",
    "hub": "moai.data.conversations.hub:Hub",
}

_OF_EVERY_SOURCE = ("name", "weight", "wordings")

_WRONG_SETTINGS = {
    "unexpected keyword argument": "does not know a setting",
    "required positional argument": "needs a setting",
}
"""How Python complains about the settings of a source, and what is said of it."""


def builder(name: str) -> Callable[..., Source]:
    """What builds the source of this name; raises ValueError for an unknown one."""
    if name in CONVERSATIONS:
        return partial(conversation_source, conversations(name))
    if name not in SOURCES:
        raise ValueError(f"unknown data source {name!r}; allowed are {', '.join((*SOURCES, *CONVERSATIONS))}")
    return _named(SOURCES[name])


def conversations(name: str) -> Callable[..., Conversations]:
    """What opens conversations of this form; raises KeyError for an unknown one."""
    return _named(CONVERSATIONS[name])


def _named(place: str) -> Callable[..., Any]:
    module, member = place.split(":")
    return getattr(import_module(module), member)


def rows_for(
    processor: MoAIProcessor,
    *,
    pictures: bool = True,
    experts: Sequence[str] | None = None,
    sizes: RowSizes | None = None,
    windows: int = 0,
    packed: bool = False,
    experts_from: str = DEFAULT,
) -> Rows:
    """What a stage makes of examples: rows about pictures, with or without experts; the words of experts, with no
    picture; or, with neither, text alone. `windows` and `packed` are those of `ImageRows`; `experts_from` is the preset
    that looks at pictures of sources that name none."""
    if pictures:
        return ImageRows(processor, sizes, experts, experts_from, windows=windows, packed=packed)
    if experts != ():
        return WordRows(processor, sizes, experts, experts_from)
    return TextRows(processor, sizes, experts_from=experts_from)


def build(sources: Sequence[Mapping], rows: Rows, seed: int = 0, position: int = 0) -> Samples:
    """The endless data set of a run, from `position` on.

    sources: mappings with the `name` of each, its `weight` (default 1), the share of its questions that are put as
    benchmarks and hurried people put them (`wordings`, default 0, see `moai.data.wordings`), and its own settings, as
    YAML has them.
    Raises ValueError for an unknown source, an unknown setting, or what the source itself refuses.
    """
    built = []
    for given in sources:
        settings = dict(given)
        name, weight = settings.pop("name", None), settings.pop("weight", 1.0)
        wordings = settings.pop("wordings", 0)
        source = _made(name, builder(name), rows, seed, **settings)
        built.append((Reworded(source, wordings, seed) if wordings else source, weight))
    return Samples(Mixture(built, seed), rows, seed, position)


def open_conversations(source: Mapping) -> Conversations:
    """The conversations of one source of `build`, apart from what trains on them; raises ValueError as `build`."""
    settings = {key: value for key, value in source.items() if key not in _OF_EVERY_SOURCE and key not in READING}
    return _made(source["name"], conversations(source["name"]), **settings)


def _made(name: str | None, make: Callable[..., Any], *args: Any, **settings: Any) -> Any:
    try:
        return make(*args, **settings)
    except TypeError as error:
        for sign, said in _WRONG_SETTINGS.items():
            if sign in str(error):
                raise ValueError(f"the data source {name!r} {said}: {error}") from error
        raise
