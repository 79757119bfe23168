"""Reading text: the order of lines, and RapidOCR itself."""

import sys
import types
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageDraw, ImageFont

from perception import Perception, Scene, TextLine
from perception.backends.paddleocr import PaddleOCRReader
from perception.backends.rapidocr import RapidOCRReader
from perception.expert import ExpertUnavailable
from perception.networks.textlines import TextLines, _in_lots
from perception.reading import merge_lines


def line(text: str, x: float, y: float, wide: float = 200, high: float = 20) -> TextLine:
    return TextLine(text, 0.9, (x / 1000, y / 1000, (x + wide) / 1000, (y + high) / 1000))


def words(lines: list[TextLine]) -> list[str]:
    return [one.text for one in merge_lines(lines, 1000, 1000)]


def test_pieces_of_a_line_join():
    assert words([line("world", 210, 12), line("hello", 0, 10), line("below", 0, 60)]) == ["hello world", "below"]
    joined = merge_lines([line("hello", 0, 10), line("world", 210, 12)], 1000, 1000)[0]
    assert joined.box == pytest.approx((0, 0.01, 0.41, 0.032))
    assert joined.score == pytest.approx(0.9)


def test_distant_and_unlike_pieces_stay_apart():
    assert words([line("left", 0, 0), line("right", 400, 0)]) == ["left", "right"]
    assert words([line("small", 0, 0), line("LARGE", 205, 0, high=60)]) == ["small", "LARGE"]


def test_columns_are_read_one_after_another():
    rows = [line(f"{side}{row}", x, 50 + 30 * row) for row in range(4) for side, x in (("a", 0), ("b", 400))]
    title = line("title", 0, 0, wide=600, high=30)
    assert words([*rows[::-1], title]) == ["title", "a0", "a1", "a2", "a3", "b0", "b1", "b2", "b3"]


def test_nothing_to_order():
    assert words([]) == []


def test_unknown_backend():
    with pytest.raises(ValueError, match="rapidocr, paddleocr"):
        Perception(ocr="tesseract")


@pytest.fixture(scope="module")
def reader():
    return RapidOCRReader()


def read(reader, picture: np.ndarray) -> Scene:
    scene = Scene(picture.shape[1], picture.shape[0])
    reader(picture, scene)
    return scene


def test_a_word(reader):
    picture = Image.new("RGB", (320, 200), (30, 90, 60))
    ImageDraw.Draw(picture).text((60, 80), "BAKERY 24", font=ImageFont.load_default(36), fill="white")
    scene = read(reader, np.asarray(picture))
    assert [one.text for one in scene.text_lines] == ["BAKERY 24"]
    x1, y1, x2, y2 = scene.text_lines[0].box
    assert x1 == pytest.approx(60 / 320, abs=0.04) and 0.35 < y1 < 0.5 and x2 > 0.6 and y2 < 0.7
    assert scene.text_lines[0].score > 0.9


def test_a_scanned_page(reader):
    page = skimage.data.page()
    scene = read(reader, np.dstack([page] * 3))
    text = " ".join(one.text for one in scene.text_lines)
    for word in ("Region-based segmentation", "determine markers of the coins", "histogram of grey values"):
        assert word in text
    assert text.index("Region") < text.index("markers") < text.index("histogram")


ROWS = [("Bread", "2.40"), ("Milk and cream", "1.15"), ("Apples", "3.20"), ("TOTAL", "6.75")]


@pytest.fixture(scope="module")
def receipt() -> Image.Image:
    picture = Image.new("RGB", (420, 250), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(22)
    draw.text((110, 20), "CORNER SHOP", font=font, fill="black")
    for row, (name, price) in enumerate(ROWS):
        draw.text((30, 70 + 36 * row), name, font=font, fill="black")
        draw.text((330, 70 + 36 * row), price, font=font, fill="black")
    return picture


@pytest.mark.parametrize("turn", [0, 90, 180, 270, 6, 174])
def test_rows_of_a_turned_receipt(reader, receipt, turn):
    scene = read(reader, np.asarray(receipt.rotate(turn, expand=True, fillcolor="white", resample=Image.BICUBIC)))
    assert [one.text for one in scene.text_lines] == ["CORNER SHOP", *(" ".join(row) for row in ROWS)]


@pytest.mark.parametrize("width", [800, 1200, 1600])
def test_a_strip(reader, width):
    picture = Image.new("RGB", (width, 40), "white")
    text = "PLEASE MIND THE STEP AS YOU GO THROUGH THE DOOR AND KEEP LEFT ON THE STAIRS"[: width // 18]
    ImageDraw.Draw(picture).text((10, 5), text, font=ImageFont.load_default(26), fill="black")
    assert [one.text for one in read(reader, np.asarray(picture)).text_lines] == [text.strip()]


def test_a_picture_without_text(reader):
    assert read(reader, np.full((60, 90, 3), 128, np.uint8)).text_lines == []


def paddle_like(monkeypatch, make) -> None:
    monkeypatch.setitem(sys.modules, "paddleocr", types.SimpleNamespace(PaddleOCR=make))


def test_paddleocr_results_are_adapted(monkeypatch):
    class Engine:
        def __init__(self, **settings):
            pass

        def predict(self, picture):
            polygons = [[[10, 50], [60, 50], [60, 60], [10, 60]], [[10, 10], [50, 10], [50, 20], [10, 20]]]
            return [{"rec_polys": polygons, "rec_texts": ["second", "first"], "rec_scores": [0.9, 0.8]}]

    paddle_like(monkeypatch, Engine)
    scene = read(PaddleOCRReader(), np.zeros((100, 100, 3), np.uint8))
    assert [one.text for one in scene.text_lines] == ["first", "second"]
    assert scene.text_lines[0].box == pytest.approx((0.1, 0.1, 0.5, 0.2))


def test_pages_that_paddleocr_turned_are_read_from_their_top(monkeypatch):
    class Engine:
        def __init__(self, **settings):
            pass

        def predict(self, picture):
            polygons = [[[10, 10], [90, 10], [90, 20], [10, 20]], [[10, 50], [90, 50], [90, 60], [10, 60]]]
            standing = [[[10, 10], [20, 10], [20, 90], [10, 90]], [[50, 10], [60, 10], [60, 90], [50, 90]]]
            on_its_head = picture.shape[0] == picture.shape[1]
            return [{"rec_polys": polygons if on_its_head else standing, "rec_texts": ["second", "first"],
                     "rec_scores": [0.9, 0.8], "textline_orientation_angles": [int(on_its_head)] * 2}]  # fmt: skip

    paddle_like(monkeypatch, Engine)
    for shape in ((100, 100, 3), (100, 101, 3)):
        scene = read(PaddleOCRReader(), np.zeros(shape, np.uint8))
        assert [one.text for one in scene.text_lines] == ["first", "second"]


def test_options_reach_the_libraries(monkeypatch):
    given = {}

    class Engine:
        def __init__(self, **settings):
            given.update(settings)

        def predict(self, picture):
            return [{"rec_polys": [], "rec_texts": [], "rec_scores": []}]

    paddle_like(monkeypatch, Engine)
    options = {"lang": "german", "ocr_version": "PP-OCRv5", "text_det_limit_side_len": 960, "use_doc_unwarping": True}
    picture = np.zeros((60, 90, 3), np.uint8)
    Perception("ocr", ocr={"backend": "paddleocr", "options": options})(picture)
    assert given == {**options, "enable_mkldnn": False, "use_doc_orientation_classify": False,
                     "use_textline_orientation": True}  # fmt: skip

    options = {"limit_side_len": 64, "limit_type": "max", "box_thresh": 0.7, "turned_lines": False, "thresh": 0.2}
    engine = RapidOCRReader(**options)._load()
    assert (engine.cfg.Det.limit_side_len, engine.cfg.Det.limit_type, engine.cfg.Det.thresh) == (64, "max", 0.2)
    assert engine.cfg.Det.box_thresh == 0.7 and engine.cfg.Global.use_cls is False


def test_models_that_rapidocr_cannot_have_are_one_sentence(tmp_path):
    for options in ({"det_model_path": str(tmp_path / "no.onnx")}, {"version": "PP-OCRv9"}):
        reader = RapidOCRReader(**options)
        for _ in range(2):
            with pytest.raises(ExpertUnavailable, match=r"^RapidOCR cannot read with [^\n]*; it may have no"):
                read(reader, np.zeros((60, 90, 3), np.uint8))


def test_paddleocr_without_models_is_one_sentence(monkeypatch):
    def unreachable(**settings):
        raise RuntimeError("No available model hosting platforms detected.")

    paddle_like(monkeypatch, unreachable)
    with pytest.raises(ExpertUnavailable, match="out of reach; use ocr='rapidocr'"):
        read(PaddleOCRReader(), np.zeros((9, 9, 3), np.uint8))


def test_several_engines_read_as_one_does(reader):
    page = skimage.data.page()
    pictures = [np.repeat(page[top : top + 90, :, None], 3, axis=2) for top in (0, 60, 100)]
    several = RapidOCRReader(engines=2)
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda picture: read(several, picture).text_lines, pictures))
    alone = [read(reader, picture).text_lines for picture in pictures]
    assert found == alone and any(alone)


def test_lines_read_the_same_in_any_company(receipt):
    pictures = [np.asarray(receipt), np.asarray(receipt)[:150], np.asarray(receipt)[60:, 100:]]
    eyes = Perception("ocr", experts_from="photo", cache_size=0)
    assert [scene.text_lines for scene in eyes.batch(pictures)] == [eyes(one).text_lines for one in pictures]


def test_lines_read_the_same_in_few_sizes(reader, receipt):
    """As a GPU has them."""
    picture = np.asarray(receipt)[..., ::-1]
    plain = TextLines(reader._load())(picture)
    sized, passes = TextLines(reader._load(), scarce=lambda: False), []
    read = sized.recogniser.session
    sized.recogniser.session = lambda given: [passes.append(len(given)), read(given)][1]
    few, again = sized(picture), sized(picture)
    assert [line.text for line in few] == [line.text for line in again]
    assert [line.text for line in few] == [line.text for line in plain]
    np.testing.assert_allclose([line.quad for line in few], [line.quad for line in plain], atol=2)
    assert max(passes) > 1 and sum(passes) == 2 * len(plain)  # those of one width went together


def test_many_go_in_few_passes_of_one_size():
    given = np.random.default_rng(0).random((37, 3, 4, 5), np.float32)
    for count, passes in ((1, 1), (8, 1), (9, 2), (37, 5)):
        passed = []
        said = _in_lots(lambda part, passed=passed: [passed.append(len(part)), part.sum((1, 2))][1], given[:count])
        assert passed == [8] * passes
        np.testing.assert_array_equal(said, given[:count].sum((1, 2)))


def test_short_lines_stand_as_their_page_does(reader):
    """Alone, a short word is hard to tell from one on its head."""
    high = np.full((48, 100, 3), 255, np.uint8)
    lines = TextLines(reader.load().engine)
    for likely, expected in (((0.02, 0.05, 0.1, 0.97), [0, 0, 0, 0]), ((0.99, 0.98, 0.97, 0.3), [1, 1, 1, 1])):
        crops = [np.hstack([high] * 4)] * 3 + [high]
        lines._likely_turned = lambda crops, likely=likely: np.array(likely)
        assert lines._turned(crops).tolist() == expected
