"""The samples of a seed stay what they are, byte for byte, with the embedded model's processor."""

import hashlib

import numpy as np
import pytest

from moai.data.rows import RowSizes
from moai.models.processing import MoAIProcessor
from tests.data.drawn.samples import drawn_samples
from weights import NANO

FORMS = {
    "text": {"pictures": False, "experts": ()},
    "words": {"pictures": False},
    "words of one expert": {"pictures": False, "experts": ("ocr",)},
    "packed": {"windows": 1, "readings": 2, "packed": True},
    "rows": {"windows": 3, "readings": 2},
    "backbone": {"experts": (), "packed": True},
    "unfamiliar": {"unfamiliar": 0.5, "windows": 1, "readings": 2, "packed": True},
}
SEEDS = (0, 3, 7)
DIGESTS = {
    "text": ["edfc5aa1a5cb", "8c108a8f8a35", "4a0bb93d81de"],
    "words": ["9f4c36fd70ce", "e61cf27ecc2c", "86d4649b18d0"],
    "words of one expert": ["725e99587393", "9a84b513630f", "e3b0c44298fc"],
    "packed": ["7ca543e798dc", "b124ac6ca6fd", "fc5894f577c9"],
    "rows": ["56a0e2552f6a", "8684b7277de1", "98acd401c09e"],
    "backbone": ["c04074f47182", "fbe81863ebeb", "ffc301caf6f8"],
    "unfamiliar": ["7ca543e798dc", "b124ac6ca6fd", "b445536fba96"],
}


def digest(sample) -> str:
    parts = [
        f"{name} {values.dtype} {values.shape}".encode() + np.ascontiguousarray(values).tobytes()
        for name, values in sorted((sample or {}).items())
    ]
    return hashlib.sha256(b"".join(parts)).hexdigest()[:12]


@pytest.fixture(scope="module")
def processor():
    return MoAIProcessor.from_pretrained(NANO)


@pytest.mark.parametrize("form", FORMS)
def test_samples_stay(processor, form):
    samples = drawn_samples(processor, RowSizes(), **FORMS[form])
    assert [digest(samples.sample(seed)) for seed in SEEDS] == DIGESTS[form]
