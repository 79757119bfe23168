"""A SentencePiece model without a tokenizer.json, as the authors released theirs."""

from pathlib import Path

import pytest
import sentencepiece

from moai.models.configuration import MoAIConfig
from moai.models.released.tokenizer import read_tokenizer

TEXT = Path(__file__).parents[2] / "docs" / "architecture.md"


def trained(folder: Path, **options) -> sentencepiece.SentencePieceProcessor:
    sentencepiece.SentencePieceTrainer.train(
        input=str(TEXT),
        model_prefix=str(folder / "tokenizer"),
        vocab_size=500,
        model_type="bpe",
        byte_fallback=True,
        normalization_rule_name="identity",
        user_defined_symbols=["[UNUSED_TOKEN_145]", "[UNUSED_TOKEN_146]"],
        minloglevel=2,
        **options,
    )
    # What names a class that is not here, and code that is not run.
    settings = '{"tokenizer_class": "MoAITokenizer", "auto_map": {"AutoTokenizer": ["code.MoAITokenizer", null]}}'
    (folder / "tokenizer_config.json").write_text(settings)
    return sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))


@pytest.mark.parametrize("prefix", [True, False])
@pytest.mark.parametrize("trims", [True, False])
def test_tokens_are_those_of_sentencepiece(tmp_path, prefix, trims):
    theirs = trained(tmp_path, add_dummy_prefix=prefix, remove_extra_whitespaces=trims)
    config = MoAIConfig(text_config={"vocab_size": 500})
    tokenizer = read_tokenizer(tmp_path, config)
    for text in (
        *TEXT.read_text().splitlines()[:40],
        " USER: Why,  and where? ASSISTANT:",
        "caf\u00e9 \U0001f600 ",
    ):
        ids = tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids
        assert ids == theirs.encode(text), text
        assert tokenizer.decode(ids) == theirs.decode(ids)
    assert config.image_token_id == 500 and config.text_config.eos_token_id == theirs.eos_id() == 2
    assert tokenizer.bos_token_id == theirs.bos_id() == 1 and tokenizer.pad_token_id == 2
    tokenizer.save_pretrained(tmp_path / "saved")
    assert (tmp_path / "saved" / "tokenizer.json").is_file()
