"""Which sources of training data there are, and the data set of a run. Adding a source: its file, and its line here."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

from moai.data.example import Source
from moai.data.mixture import Mixture
from moai.data.rows import ImageRows, Rows, RowSizes, TextRows, WordRows
from moai.data.samples import Samples
from moai.models.processing import MoAIProcessor

# By name, since a source brings libraries and data along. What is named is called with the rows that its examples
# become, the seed of the run and the settings of the source.
SOURCES: dict[str, str] = {
    "drawn": "moai.data.drawn.source:drawn_source",
}


def builder(name: str) -> Callable[..., Source]:
    """What builds the source of this name; raises ValueError for an unknown one."""
    if name not in SOURCES:
        raise ValueError(f"unknown data source {name!r}; allowed are {', '.join(SOURCES)}")
    module, member = SOURCES[name].split(":")
    return getattr(import_module(module), member)


def rows_for(
    processor: MoAIProcessor,
    *,
    pictures: bool = True,
    experts: Sequence[str] | None = None,
    sizes: RowSizes | None = None,
    windows: int = 0,
    packed: bool = False,
) -> Rows:
    """What a stage makes of examples: rows about pictures, with or without experts; the words of experts, with no
    picture; or, with neither, text alone. `windows` and `packed` are those of `ImageRows`."""
    if pictures:
        return ImageRows(processor, sizes, experts, windows=windows, packed=packed)
    return WordRows(processor, sizes, experts) if experts != () else TextRows(processor, sizes)


def build(sources: Sequence[Mapping], rows: Rows, seed: int = 0, position: int = 0) -> Samples:
    """The endless data set of a run, from `position` on.

    sources: mappings with the `name` of each, its `weight` (default 1) and its own settings, as YAML has them.
    Raises ValueError for an unknown source, an unknown setting, or what the source itself refuses.
    """
    built = []
    for given in sources:
        settings = dict(given)
        name, weight = settings.pop("name", None), settings.pop("weight", 1.0)
        make = builder(name)
        try:
            built.append((make(rows, seed, **settings), weight))
        except TypeError as error:
            if settings and "unexpected keyword argument" in str(error):
                raise ValueError(f"the data source {name!r} does not know a setting: {error}") from error
            raise
    return Samples(Mixture(built, seed), rows, seed, position)
