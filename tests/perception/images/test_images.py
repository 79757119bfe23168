"""Pictures as people give them, good and bad."""

import base64
import io
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile

from perception import ImageError, load_image

RNG = np.random.default_rng(5)
NOISE = RNG.integers(0, 256, (60, 80, 3), dtype=np.uint8)
GRADIENT = np.tile(np.arange(0, 240, 3, dtype=np.uint8)[None, :, None], (60, 1, 3))


def encoded(picture: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF"])
def test_formats(kind, tmp_path):
    picture = Image.fromarray(GRADIENT)
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(picture, kind, **options)
    path = tmp_path / "picture"
    path.write_bytes(data)
    for source in (data, bytearray(data), memoryview(data), path, str(path)):
        loaded = load_image(source)
        assert (loaded.mode, loaded.size) == ("RGB", (80, 60))
        assert np.abs(np.asarray(loaded).astype(int) - GRADIENT).mean() < 4


def test_data_urls():
    data = encoded(Image.fromarray(NOISE), "PNG")
    url = "data:image/png;base64," + base64.b64encode(data).decode()
    assert np.array_equal(np.asarray(load_image(url)), NOISE)
    for bad in ("data:image/png;base64,@@@", "data:,hello", "data:image/png;base64,"):
        with pytest.raises(ImageError, match="data: URL"):
            load_image(bad)


def test_orientation():
    picture = Image.fromarray(NOISE)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned: the top of the picture is on its right
    loaded = load_image(encoded(picture, "PNG", exif=exif))
    assert np.array_equal(np.asarray(loaded), np.rot90(NOISE, -1))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "La", "RGBa", "PA"])
def test_transparency_on_white(mode):
    picture = Image.new("RGBA", (20, 10), (0, 0, 0, 0))
    picture.paste((0, 0, 0, 255), (0, 0, 10, 10))
    if mode == "PA":
        given = Image.new("P", (20, 10), 0)
        given.putpalette([0, 0, 0])
        given.putalpha(picture.getchannel("A"))
    else:
        given = picture.convert("LA").convert(mode) if mode == "La" else picture.convert(mode)
    assert given.mode == mode
    pixels = np.asarray(load_image(given))
    assert pixels[5, 2].max() < 10 and pixels[5, 17].min() > 245


def test_transparent_palette_and_colour_key():
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([255, 0, 0, 0, 0, 0])
    data = encoded(palette, "PNG", transparency=1)
    assert np.asarray(load_image(data)).min() == 255
    grey = Image.new("L", (8, 8), 7)
    assert np.asarray(load_image(encoded(grey, "PNG", transparency=7))).min() == 255


def test_cmyk_and_one_bit():
    cmyk = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    assert np.asarray(load_image(encoded(cmyk, "JPEG"))).mean(axis=(0, 1)) == pytest.approx([254, 0, 0], abs=4)
    assert np.asarray(load_image(Image.new("1", (8, 8), 1))).min() == 255


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled(kind):
    deep = np.linspace(0, 65535, 400).astype(np.uint16).reshape(20, 20)
    loaded = np.asarray(load_image(encoded(Image.fromarray(deep), kind)))
    assert loaded.shape == (20, 20, 3)
    assert np.abs(loaded[..., 0].astype(float) - deep / 257).max() <= 0.51
    assert np.array_equal(loaded, np.asarray(load_image(deep)))


def test_first_frame():
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    for kind in ("GIF", "WEBP", "PNG"):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        red, _, blue = np.asarray(load_image(data))[8, 8]
        assert red > 200 and blue < 60


@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize("share", [0.3, 0.9])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF"])
def test_truncated_files_are_refused(kind, share, lenient, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", lenient)
    data = encoded(Image.fromarray(NOISE), kind)
    with pytest.raises(ImageError):
        load_image(data[: int(len(data) * share)])
    assert load_image(data).size == (80, 60)


def test_progressive_and_compressed_files_are_complete():
    picture = Image.fromarray(NOISE)
    for data in (
        encoded(picture, "JPEG", progressive=True),
        encoded(picture, "JPEG", optimize=True) + b"trailing bytes",
        encoded(picture, "TIFF", compression="tiff_lzw"),
        encoded(picture, "TIFF", compression="jpeg"),
        encoded(picture.quantize(16), "PNG", bits=4),
        encoded(picture, "PNG") + b"trailing bytes",
        encoded(Image.new("RGB", (3000, 2000), "green"), "PNG"),
        encoded(Image.new("1", (33, 20), 1), "PNG"),
    ):
        assert load_image(data).mode == "RGB"


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("limit", [None, 89_478_485])
@pytest.mark.parametrize("side", [9_000, 12_000, 30_000])
def test_bombs_are_refused_before_decoding(side, limit, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(ImageError, match="64,000,000"):
        load_image(png_header(side, side))


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("/no/such/file.jpg", "no file"),
        ("/", "folder"),
        ("", "empty"),
        ("https://example.org/cat.jpg", "web address"),
        ("x" * 5000, "path"),
        ("a\0b", "path"),
        ("/dev/null", "regular"),
        (b"", "empty"),
        (b"hello, this is text", "known format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "known format"),
        (None, "NoneType"),
        (7, "int"),
        (png_header(0, 5), ""),
        (png_header(5000, 20), "50 times"),
        (np.zeros((0, 5, 3), np.uint8), "no pixels"),
        (np.zeros((5, 0), np.uint8), "no pixels"),
        (np.zeros((300, 2, 3), np.uint8), "50 times"),
        (np.zeros((3, 40, 40), np.uint8), "3 x 40 x 40"),
        (np.zeros((2, 4, 4, 3), np.uint8), "2 x 4 x 4 x 3"),
        (np.zeros(4, np.uint8), "shape"),
        (np.zeros((4, 4), np.int64), "int64"),
        (np.full((4, 4), 255.0), "0..1"),
        (np.full((4, 4), np.nan), "0..1"),
        (Image.new("RGB", (0, 4)), "no pixels"),
        (Image.new("I", (4, 4), 70000), "32-bit"),
        (Image.new("F", (4, 4), -3.0), "floating-point"),
    ],
)
def test_one_sentence_says_what_is_wrong(source, says):
    with pytest.raises(ImageError) as caught:
        load_image(source)
    message = str(caught.value)
    assert says in message and "\n" not in message and 20 < len(message) < 300


def test_too_large_file(tmp_path):
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.truncate(65 * 2**20)
    with pytest.raises(ImageError, match="64 MiB"):
        load_image(path)


def test_arrays():
    assert np.array_equal(np.asarray(load_image(NOISE)), NOISE)
    assert np.array_equal(np.asarray(load_image(NOISE[:, ::-1])), NOISE[:, ::-1])
    assert np.array_equal(np.asarray(load_image(NOISE / 255)), NOISE)
    assert np.asarray(load_image(NOISE[..., 0])).shape == (60, 80, 3)
    assert np.asarray(load_image(NOISE[..., :1])).shape == (60, 80, 3)
    assert np.asarray(load_image(NOISE[..., 0] > 300)).max() == 0
    clear = np.dstack([NOISE, np.zeros((60, 80), np.uint8)])
    assert np.asarray(load_image(clear)).min() == 255


def test_the_picture_given_stays_as_it_is():
    given = Image.fromarray(NOISE)
    loaded = load_image(given)
    loaded.paste("black", (0, 0, 80, 60))
    assert np.array_equal(np.asarray(given), NOISE)


def test_ultralytics_changes_nothing(tmp_path):
    from perception.networks.yolo import import_ultralytics

    import_ultralytics()
    import ultralytics.utils.patches  # noqa: F401 - it replaces PIL.Image.open

    with pytest.raises(ImageError, match="known format"):
        load_image(b"no picture at all")


def test_what_is_no_picture_is_called_so_whoever_was_imported_first():
    """ultralytics puts an opener in Pillow's place that would install a package then."""
    pytest.importorskip("ultralytics")
    program = "import ultralytics.utils.patches\nfrom perception import load_image\nload_image(b'no picture' * 9)"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    said = (told.stdout + told.stderr).lower()
    assert "is not a picture in a known format" in said and "requirement" not in said
