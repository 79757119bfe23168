"""The embedded model's tokenizer: whole words it knows, and single letters for all others.

Letters as single tokens are what makes a word on a sign copyable that the model has never seen.
"""

from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

SPECIAL_TOKENS = ("<pad>", "</s>", "<unk>", "<image>")
# Coordinates as printed by the verbaliser stay whole, so a box is four tokens; other digits stand alone.
PIECES = r" ?\[?[01]\.\d\d[,\]]| ?[A-Za-z]+| ?\d| ?[^\sA-Za-z\d]|\s"


def coordinate_pieces() -> list[str]:
    """Every way the verbaliser prints one coordinate of a box."""
    values = [f"{step / 100:.2f}" for step in range(101)]
    return [text for value in values for text in (f" [{value},", f" {value},", f" {value}]", f"[{value},")]


def _pre_tokenizer() -> pre_tokenizers.PreTokenizer:
    split = pre_tokenizers.Split(Regex(PIECES), behavior="isolated")
    return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def build_tokenizer(words: Iterable[str]) -> PreTrainedTokenizerFast:
    """A byte-level word tokenizer that knows `words`, with and without a space before them, coordinates, and letters.

    words: words or whole sentences. Any text can be written and read back exactly.
    """
    splitter = _pre_tokenizer()
    known = {piece for word in words for text in (word, f" {word}") for piece, _ in splitter.pre_tokenize_str(text)}
    known.update(piece for text in coordinate_pieces() for piece, _ in splitter.pre_tokenize_str(text))
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = sorted(known - set(letters))
    vocabulary = {token: index for index, token in enumerate([*SPECIAL_TOKENS, *letters, *words])}
    # No merges: a piece is either in the vocabulary as it stands or falls apart into single bytes.
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], ignore_merges=True))
    tokenizer.pre_tokenizer = splitter
    tokenizer.decoder = decoders.ByteLevel()
    pad, end, unknown, image = SPECIAL_TOKENS
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=pad,
        eos_token=end,
        unk_token=unknown,
        extra_special_tokens={"image_token": image},
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
