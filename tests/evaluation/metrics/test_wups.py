"""Distances in a WordNet of six nouns, in the files' own format."""

import pytest

from moai.evaluation.metrics.wups import WordNet, wups

NOUNS = {1: ("entity", 0), 2: ("furniture", 1), 3: ("chair", 2), 4: ("table", 2), 5: ("animal", 1), 6: ("dog", 5)}


@pytest.fixture
def net(tmp_path):
    index, data = ["  1 licence  "], ["  1 licence  "]
    for number, (word, above) in NOUNS.items():
        pointers = f"001 @ {above:08d} n 0000" if above else "000"
        data.append(f"{number:08d} 03 n 01 {word} 0 {pointers} | a {word}  ")
        index.append(f"{word} n 1 1 @ 1 0 {number:08d}  ")
    (tmp_path / "index.noun").write_text("\n".join(index) + "\n")
    (tmp_path / "data.noun").write_text("\n".join(data) + "\n")
    return WordNet(tmp_path)


def test_similarity_is_wu_and_palmers(net):
    assert net.words("chair", "table") == pytest.approx(2 * 2 / (3 + 3))
    assert net.words("chair", "dog") == pytest.approx(2 * 1 / (3 + 3))
    assert net.words("chairs", "chair") == 1.0  # in the plural
    assert net.words("sofa", "sofa") == 1.0 and net.words("sofa", "chair") == 0.0


def test_wups_weighs_what_is_far_down(net):
    assert wups({"chair"}, {"chair"}, net, 0.9) == 1.0
    assert wups({"chair"}, {"table"}, net, 0.9) == pytest.approx(0.1 * 4 / 6)
    assert wups({"chair"}, {"table"}, net, 0.0) == pytest.approx(4 / 6)
    assert wups({"chair"}, {"chair", "table"}, net, 0.0) == pytest.approx(4 / 6)  # one is missing
    assert wups(set(), {"chair"}, net, 0.0) == 0.0


def test_another_folder_is_told(tmp_path):
    with pytest.raises(ValueError, match=r"holds no WordNet; it needs index\.noun and data\.noun"):
        WordNet(tmp_path)
