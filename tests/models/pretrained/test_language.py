"""Language models of every family: what the built model says is what the model alone says."""

import pytest

from moai.inference.fused import LLAMA_LIKE, can_be_fused
from moai.models.pretrained import build
from tests.models.pretrained.families import LANGUAGE, language_model, vision_encoder
from tests.models.pretrained.measures import of_language


@pytest.fixture(scope="module")
def eyes(tmp_path_factory):
    return vision_encoder("clip", tmp_path_factory.mktemp("eyes"))


@pytest.mark.parametrize("family", LANGUAGE)
def test_a_family(family, eyes, tmp_path):
    told = of_language(family, eyes, tmp_path)
    assert told.answers
    assert told.alone < 1e-5 and told.rows < 1e-3 and told.loaded < 1e-5
    assert told.fast is (True if family in LLAMA_LIKE else None)


@pytest.mark.parametrize(
    ("family", "window"),
    [
        ("mistral", {"sliding_window": 16}),
        ("mixtral", {"sliding_window": 16}),
        ("qwen3_moe", {"use_sliding_window": True, "sliding_window": 16}),
        ("qwen2", {"use_sliding_window": True, "sliding_window": 16, "max_window_layers": 0}),
    ],
)
def test_a_decoder_that_sees_a_window_goes_the_plain_way(family, window, eyes, tmp_path):
    model, _ = build(language_model(family, tmp_path / "host", **window), eyes, mixers="1", rank=4)
    assert not can_be_fused(model.config.text_config)
