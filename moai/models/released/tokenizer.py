"""The tokenizer of a checkpoint in the authors' layout, who wrapped code of their own around a SentencePiece model."""

import shutil
import tempfile
from pathlib import Path

from tokenizers import Regex, decoders, normalizers
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from moai.models.configuration import MoAIConfig
from moai.models.prompts import SYSTEM

SENTENCEPIECE = "tokenizer.model"
SPACE = "▁"
"""How SentencePiece writes a space."""
_SAMPLES = (
    SYSTEM,
    " USER: Where is  it? ASSISTANT:",
    "caf\u00e9 \u6f22\u5b57 \U0001f600\nnew line ",
    " ",
    "[0.25, 1.00] a-b",
)


def read_tokenizer(source: Path, config: MoAIConfig) -> PreTrainedTokenizerBase:
    """The folder's tokenizer with an image token, whose id goes into `config` with those of the other special tokens.

    That id is the vocabulary size when the tokenizer fills the vocabulary, as the released one does. Raises ValueError
    with one sentence for a tokenizer that is missing, or too large.
    """
    try:
        if (source / SENTENCEPIECE).is_file() and not (source / "tokenizer.json").is_file():
            tokenizer: PreTrainedTokenizerBase = _of_sentencepiece(source / SENTENCEPIECE)
        else:
            # Code that comes with a checkpoint is not run.
            tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    except (OSError, ValueError, KeyError, ImportError, AttributeError) as error:
        raise ValueError(
            f"the tokenizer in {source} cannot be read; put a tokenizer.json and tokenizer_config.json there"
        ) from error
    if tokenizer.eos_token_id is None:
        raise ValueError(f"the tokenizer in {source} has no end-of-sequence token")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "left"
    if "<image>" not in tokenizer.get_vocab():
        tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    text = config.text_config
    ids = tokenizer.get_vocab()
    config.image_token_id = ids.pop("<image>")
    if max(ids.values()) >= text.vocab_size:
        raise ValueError(
            f"the tokenizer in {source} has {len(ids)} tokens, but the checkpoint's vocabulary is {text.vocab_size}"
        )
    text.bos_token_id, text.eos_token_id = tokenizer.bos_token_id, tokenizer.eos_token_id
    text.pad_token_id = tokenizer.pad_token_id
    return tokenizer


def _of_sentencepiece(file: Path) -> PreTrainedTokenizerFast:
    """The same tokens as SentencePiece makes of a text, to the letter; ValueError where that cannot be had."""
    try:
        from sentencepiece import SentencePieceProcessor
    except ImportError as error:
        raise ValueError(f"{file} needs the package sentencepiece; pip install sentencepiece") from error
    theirs = SentencePieceProcessor(model_file=str(file))
    with tempfile.TemporaryDirectory() as folder:  # without the settings beside it, which name the authors' class
        shutil.copy(file, folder)
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    steps: list[normalizers.Normalizer] = []
    if theirs.encode("a  a ") == theirs.encode("a a"):
        steps += [normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")]
    begins = theirs.id_to_piece(theirs.encode("a")[0]).startswith(SPACE)
    if begins:
        steps.append(normalizers.Prepend(SPACE))
    backend = tokenizer.backend_tokenizer
    backend.normalizer = normalizers.Sequence([*steps, normalizers.Replace(" ", SPACE)])
    backend.pre_tokenizer = None
    spaces = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    backend.decoder = decoders.Sequence([*spaces, *([decoders.Strip(" ", 1, 0)] if begins else [])])
    for sample in _SAMPLES:
        if backend.encode(sample, add_special_tokens=False).ids != theirs.encode(sample):
            raise ValueError(f"{file} splits texts in a way that is not carried over; put a tokenizer.json beside it")
    tokenizer.bos_token, tokenizer.eos_token = (theirs.id_to_piece(one()) for one in (theirs.bos_id, theirs.eos_id))
    return tokenizer
