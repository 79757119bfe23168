"""A few questions of the drawn suite to the embedded model with its real experts."""

from moai.assistant import MoAI
from moai.evaluation.drawn.run import run_drawn


def test_the_embedded_model_answers_the_suite(tmp_path):
    result = run_drawn(MoAI.from_pretrained("moai-nano", device="cpu"), "embedded", tmp_path, limit=2)
    scores = result["scores"]
    assert set(scores) == {"pope", "mme", "textvqa", "mmbench"}
    assert scores["pope"]["accuracy"] == 100 and scores["mme"]["existence"]["score"] == 200
