import pytest

from moai.data.drawn.vocabulary import drawn_vocabulary
from moai.training.tokenizer import build_tokenizer
from tests import conftest as core


@pytest.fixture(scope="session")
def tokenizer():
    """The embedded model's tokenizer."""
    return build_tokenizer(drawn_vocabulary())


# Of that tokenizer.
processor, model_folder = core.processor, core.model_folder
