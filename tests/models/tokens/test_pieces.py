"""The fast way to token ids gives those of the tokenizer, and is taken by the tokenizers that it is for."""

import random

import pytest
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

from moai.models.prompts import plain_text_ids
from moai.models.tokens.pieces import pieces_of


def test_ids_are_those_of_the_tokenizer(tokenizer, processor):
    pieces = pieces_of(tokenizer.backend_tokenizer)
    draw = random.Random(0)
    words = [
        "USER:",
        " a dog",
        "<image>",
        "</s>",
        " [0.25,",
        " 0.5]",
        "1.00]",
        "Qzx",
        "\n",
        "\t ",
        "  ",
        "?",
        "\x1c",
        "7",
    ]
    texts = ["", *("".join(draw.choices(words, k=draw.randrange(9))) for _ in range(300))]
    texts += ["".join(chr(draw.randrange(128)) for _ in range(40)) for _ in range(100)]
    for text in [*texts, *texts]:
        assert pieces.ids(text) == plain_text_ids(tokenizer, text) == processor.encode_text(text)
    assert processor.encode_text("caf\u00e9 \ud83d") == plain_text_ids(tokenizer, "caf\u00e9 \ud83d")


@pytest.mark.parametrize(
    ("pattern", "change"),
    [
        (r"\s+(?!\S)|\S|\s", None),
        (r"\b\S|\s|\S", None),
        (r"\p{L}+|.|\s", None),
        (r"[a-z]+|\s", None),
        (r"\S|\s", "normalizer"),
        (r"\S|\s", "words"),
        (r"\S|\s", "space"),
    ],
)
def test_others_are_left_to_themselves(pattern, change):
    backend = Tokenizer(models.BPE())
    letters = pre_tokenizers.ByteLevel(add_prefix_space=change == "space", use_regex=False)
    backend.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), letters])
    if change == "normalizer":
        backend.normalizer = normalizers.Lowercase()
    if change == "words":
        backend.add_tokens([AddedToken("dog")])
    assert pieces_of(backend) is None
