import numpy as np
import pytest

from moai.data.drawn.text.words import MAX_LENGTH, is_held_out, kind_of_text, sign_text, word_list


def texts(seed, count=4000, **options):
    rng = np.random.default_rng(seed)
    return [sign_text(rng, **options) for _ in range(count)]


def test_word_list_is_plain_and_split_by_a_fixed_tenth():
    train, held_out = word_list("train"), word_list("heldout")
    words = train + held_out
    assert len(words) == len(set(words)) == 3000
    assert all(word.isascii() and word.isalpha() and word.islower() and 3 <= len(word) <= 9 for word in words)
    assert 0.08 < len(held_out) / len(words) < 0.12
    assert all(is_held_out(word) for word in held_out) and not any(is_held_out(word) for word in train)
    assert train[0] == "open"


def test_held_out_words_never_reach_training_signs():
    held_out = set(word_list("heldout"))
    assert not any(part in held_out for text in texts(0) for part in text.lower().split())


def test_half_of_the_words_to_learn_from_are_made_up():
    held_out, train = set(word_list("heldout")), set(word_list("train"))
    words = [part for text in texts(4, split="varied") for part in text.lower().split() if part.isalpha()]
    assert not held_out & set(words)
    made_up = [word for word in words if word not in train]
    # Random strings are among them.
    assert 0.45 < len(made_up) / len(words) < 0.65 and len(set(made_up)) > 0.9 * len(made_up)
    assert all(len(text) <= MAX_LENGTH for text in texts(4, split="varied"))


def test_held_out_signs_show_no_training_word():
    train = set(word_list("train"))
    assert not any(part in train for text in texts(1, split="heldout") for part in text.lower().split())


@pytest.mark.parametrize("split", ["train", "heldout"])
def test_mix_and_length(split):
    lines = texts(2, split=split)
    assert all(2 <= len(line) <= MAX_LENGTH and line.isascii() and line == line.strip() for line in lines)
    kinds = [kind_of_text(line) for line in lines]
    word = "known word" if split == "train" else "unseen word"
    assert set(kinds) == {word, "number", "string"}
    assert 0.69 < kinds.count(word) / len(lines) < 0.75
    assert 0.11 < kinds.count("number") / len(lines) < 0.15
    assert sum(line.isupper() for line in lines if line.isalpha()) > 0.6 * sum(line.isalpha() for line in lines)


def test_same_seed_same_texts_and_unknown_split_is_refused():
    assert texts(3, 50) == texts(3, 50)
    with pytest.raises(ValueError, match="split must be"):
        word_list("test")
