from moai.data.registry import build, rows_for
from moai.data.rows import RowSizes
from moai.data.samples import Samples
from moai.models.processing import MoAIProcessor


def drawn_samples(
    processor: MoAIProcessor,
    sizes: RowSizes,
    seed: int = 0,
    readings: int = 0,
    unfamiliar: float = 0.0,
    difficulty: float | None = None,
    **rows,
) -> Samples:
    """Samples of drawn scenes alone; `rows` are arguments of `rows_for`."""
    drawn = {"name": "drawn", "readings": readings, "unfamiliar": unfamiliar, "difficulty": difficulty}
    return build([drawn], rows_for(processor, sizes=sizes, **rows), seed)
