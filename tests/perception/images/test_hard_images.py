"""Small files that would be much work, refused before they are decoded; and odd ones that are whole."""

import io
import os
import struct
import threading
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile

from perception import ImageError, load_image
from perception.images.room import Room

NOISE = np.random.default_rng(5).integers(0, 256, (60, 80, 3), dtype=np.uint8)


def encoded(picture: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, bits: int, colour: int, rows: bytes, *between: bytes) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    ends = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(between) + ends


def scans(repeated: int) -> bytes:
    """A progressive JPEG whose last scan comes once more, so many times."""
    data = encoded(Image.fromarray(NOISE), "JPEG", progressive=True)
    begin, end = data.rfind(b"\xff\xda"), data.rfind(b"\xff\xd9")
    return data[:end] + data[begin:end] * repeated + data[end:]


def jpeg_of_pieces() -> bytes:
    data = encoded(Image.fromarray(NOISE), "JPEG")
    return data[:2] + b"\xff\xfe\x00\x02" * 200_000 + data[2:]


def filled_jpeg() -> bytes:
    data = encoded(Image.fromarray(NOISE), "JPEG")
    return data[:2] + b"\xff" * 10_000_000 + data[2:]


def gif_of_pieces() -> bytes:
    data = encoded(Image.fromarray(NOISE[..., 0]), "GIF")
    start = data.find(b",", 13 + 3 * 256)
    return data[:start] + b"!\xfe" + b"\x01a" * 500_000 + b"\0" + data[start:]


def ico(inside: bytes) -> bytes:
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 32, len(inside), 22) + inside


def bitmap(width: int, height: int) -> bytes:
    return struct.pack("<IiiHHIIiiII", 40, width, height * 2, 1, 32, 0, 0, 0, 0, 0, 0)


def tiff_of_everything() -> bytes:
    """A directory of which every entry means the whole file."""
    entries = b"".join(struct.pack("<HHLL", 60_000 + number, 7, 10_000_000, 8) for number in range(2_000))
    return b"II*\0" + struct.pack("<LH", 8, 2_000) + entries + struct.pack("<L", 0) + b"\0" * 10_000_000


HARD = {
    "scans": (lambda: scans(3_000), "scans"),
    "segments": (jpeg_of_pieces, "pieces"),
    "fill": (filled_jpeg, "between its segments"),
    "chunks": (lambda: png(4, 4, 8, 0, b"\0" * 20, *[chunk(b"tEXt", b"")] * 200_000), "pieces"),
    "comments": (gif_of_pieces, "pieces"),
    "boxes": (lambda: encoded(Image.fromarray(NOISE), "JPEG2000")[:12] + b"\0\0\0\x08free" * 500_000, "pieces"),
    "icon": (lambda: ico(png(30_000, 30_000, 8, 2, b"")), "64,000,000"),
    "bitmap in an icon": (lambda: ico(bitmap(30_000, 30_000)), "64,000,000"),
    "entries": (tiff_of_everything, "larger than the file"),
    "comment": (lambda: b"P6\n#" + b"a" * 20_000_000 + b"\n4 4\n255\n" + b"\0" * 48, "comments"),
    "plain text": (lambda: b"P3 9000 9000 255 " + b"1 2 3 " * 9, "64,000,000"),
}


@pytest.mark.parametrize("name", HARD)
def test_what_would_be_too_much_work_is_refused_before_it_is_done(name, monkeypatch):
    make, says = HARD[name]
    data = make()
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(ImageError, match=says) as caught:
        load_image(data)
    assert len(str(caught.value)) < 300


def test_whole_files_of_many_pieces_are_read():
    picture = Image.fromarray(NOISE)
    for data in (
        scans(5),
        scans(0) + b"\xff\xda" * 1_000,
        encoded(picture, "JPEG", comment=b"x" * 60_000),
        png(4, 4, 8, 0, b"\0" * 20, *[chunk(b"tEXt", b"a\0b")] * 500),
        ico(png(16, 16, 8, 2, b"\0" * 16 * 49)),
        encoded(picture, "ICO"),
        b"P6\n# a comment\n# and another\n2 1 # of two\n255\n" + b"\0" * 6,
    ):
        assert load_image(data).mode == "RGB"


@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize("options", [{}, {"irreversible": True}, {"no_jp2": True}])
def test_jpeg_2000(options, lenient, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", lenient)
    data = encoded(Image.fromarray(NOISE), "JPEG2000", **options)
    assert np.abs(np.asarray(load_image(data)).astype(int) - NOISE).mean() < 3
    for share in (0.3, 0.9):
        with pytest.raises(ImageError):
            load_image(data[: int(len(data) * share)])


PLAIN = [
    (b"P1 2 2 0 1 1 0", [[255, 0], [0, 255]]),
    (b"P1\n2 2\n01\n10", [[255, 0], [0, 255]]),
    (b"P2 2 2 255 0 7 200 255", [[0, 7], [200, 255]]),
    (b"P2\n2 2 # size\n100\n0 50\n100 # row\n25", [[0, 128], [255, 64]]),
    (b"P2 2 2 65535 0 257 514 65535", [[0, 1], [2, 255]]),
    (b"P5 2 2 100\n" + bytes([0, 50, 100, 25]), [[0, 128], [255, 64]]),
    (b"P5 2 2 1000\n" + struct.pack(">4H", 0, 500, 1000, 250), [[0, 128], [255, 64]]),
]


@pytest.mark.parametrize(("data", "grey"), PLAIN)
def test_netpbm_without_a_last_newline(data, grey):
    assert np.asarray(load_image(data))[..., 1].tolist() == grey
    assert np.asarray(load_image(data + b"\n"))[..., 1].tolist() == grey
    with pytest.raises(ImageError):
        load_image(data[:-5])


def test_plain_colours_and_wrong_values():
    assert np.asarray(load_image(b"P3 1 1 255 9 80 255")).tolist() == [[[9, 80, 255]]]
    assert np.asarray(load_image(b"P6 1 1 100\n\x00\x32\x64")).tolist() == [[[0, 128, 255]]]
    for bad in (
        b"P3 1 1 255 9 80 256",
        b"P3 1 1 255 9 -8 25",
        b"P2 1 1 255 x",
        b"P2 1 1 0 0",
        b"P1 1 1 7",
        b"P6 1 1 99\n\x63\x64\x00",
    ):
        with pytest.raises(ImageError, match="damaged"):
            load_image(bad)


def exif(*entries: bytes) -> bytes:
    return b"Exif\0\0II*\0" + struct.pack("<LH", 8, len(entries)) + b"".join(entries) + b"\0" * 4


TURNED = struct.pack("<HHLHH", 0x0112, 3, 1, 6, 0)
DAMAGED = [
    struct.pack("<HHLL", 0x011A, 5, 1, 0xFFFFFF),  # a number that lies outside
    struct.pack("<HHLL", 0x010F, 2, 0xFFFFFFFF, 8),  # a text without end
    struct.pack("<HHLL", 0x8769, 4, 1, 0xFFFFFF),  # a directory that is not there
    struct.pack("<HHLL", 0x0131, 99, 1, 0),  # of no known type
    struct.pack("<HHLL", 0x8825, 2, 4, 0x00414141),  # GPS, as text
]


@pytest.mark.filterwarnings("ignore:Truncated File Read", "ignore:Corrupt EXIF")
@pytest.mark.parametrize("damage", DAMAGED)
@pytest.mark.parametrize("first", [True, False])
def test_the_orientation_beside_damaged_exif(damage, first):
    entries = (damage, TURNED) if first else (TURNED, damage)
    data = encoded(Image.fromarray(NOISE), "JPEG", quality=95, exif=exif(*entries))
    assert load_image(data).size == (60, 80)
    assert load_image(Image.open(io.BytesIO(data))).size == (60, 80)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("data", [b"", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", exif(TURNED)[:20], b"x" * 40])
def test_broken_exif_turns_nothing(data):
    assert load_image(encoded(Image.fromarray(NOISE), "PNG", exif=data)).size == (80, 60)


def test_min_is_white():
    deep = np.linspace(0, 65535, 400).astype(np.uint16).reshape(20, 20)
    data = encoded(Image.fromarray(deep), "TIFF", tiffinfo={262: 0})
    assert Image.open(io.BytesIO(data)).tag_v2[262] == 0
    assert np.array_equal(np.asarray(load_image(data)), 255 - np.asarray(load_image(deep)))
    assert np.array_equal(np.asarray(load_image(Image.open(io.BytesIO(data)))), np.asarray(load_image(data)))


def test_integers_of_32_bits():
    grey = np.arange(256, dtype=np.int32).reshape(16, 16)
    for given in (Image.fromarray(grey), encoded(Image.fromarray(grey), "TIFF")):
        assert np.array_equal(np.asarray(load_image(given))[..., 0], grey)
    assert np.array_equal(np.asarray(load_image(Image.fromarray(grey * 257)))[..., 0], grey)
    dark = b"P5 16 16 65535\n" + grey.astype(">u2").tobytes()
    assert np.asarray(load_image(dark)).max() == 1


def test_sixteen_bits_of_grey_with_a_transparent_one():
    rows = b"\0" + np.array([0, 1000, 30_000, 65_535], ">u2").tobytes()
    data = png(4, 1, 16, 0, rows, chunk(b"tRNS", struct.pack(">H", 30_000)))
    assert np.asarray(load_image(data))[0, :, 0].tolist() == [0, 4, 255, 255]


def test_lab_is_a_colour():
    from PIL import ImageCms

    colours = Image.fromarray(np.array([[[200, 100, 50], [128, 128, 128], [10, 80, 200]]], np.uint8))
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    given = ImageCms.profileToProfile(colours, *profiles, outputMode="LAB")
    for source in (given, encoded(given, "TIFF")):
        assert np.abs(np.asarray(load_image(source)).astype(int) - np.asarray(colours)).max() < 16


class Failing(os.PathLike):
    def __init__(self, result):
        self.result = result

    def __fspath__(self):
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def released() -> memoryview:
    view = memoryview(b"picture")
    view.release()
    return view


class Odd(np.ndarray):
    @property
    def shape(self):
        raise RuntimeError("no shape")


ODD = [
    Failing(RuntimeError("no")),
    Failing(OSError("no")),
    Failing(7),
    Failing(None),
    released(),
    np.zeros((4, 4)).view(Odd),
]


@pytest.mark.parametrize("source", ODD)
def test_whatever_only_looks_like_a_picture_is_refused(source):
    with pytest.raises(ImageError, match="cannot be read as a picture"):
        load_image(source)


@pytest.mark.parametrize("name", ["a\udcff.png", b"\xff\xfe.png", "two\nlines.png", "\x1b[31mred", "https://\ud83d/x"])
def test_messages_can_be_printed(name, tmp_path):
    for source in (name, os.path.join(os.fsencode(tmp_path), os.fsencode(name)) if "://" not in str(name) else name):
        with pytest.raises(ImageError) as caught:
            load_image(source)
        assert str(caught.value).encode() and str(caught.value).isprintable()


def test_large_pictures_take_turns():
    room, entered, leave = Room(10_000_000), [], threading.Event()

    def hold(number: int, width: int) -> None:
        with room.taken(width, 1_000):
            entered.append(number)
            leave.wait(30)

    first = threading.Thread(target=hold, args=(1, 9_000))
    second = threading.Thread(target=hold, args=(2, 64_000))
    first.start()
    while not entered:
        first.join(0.01)
    second.start()
    hold_small = threading.Thread(target=hold, args=(3, 4_000))
    hold_small.start()
    while len(entered) < 2:
        hold_small.join(0.01)
    assert entered == [1, 3]  # a small one waits for nobody
    leave.set()
    for thread in (first, second, hold_small):
        thread.join(30)
    assert entered == [1, 3, 2]
