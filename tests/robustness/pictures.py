"""Malformed pictures, made by a seed: odd modes, cut, changed, lying and oversized files in every format."""

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from random import Random

import numpy as np
from PIL import Image
from skimage import data

from perception.images import MAX_ASPECT

MODES = (
    "1",
    "L",
    "P",
    "PA",
    "LA",
    "La",
    "RGB",
    "RGBA",
    "RGBa",
    "RGBX",
    "CMYK",
    "YCbCr",
    "LAB",
    "HSV",
    "I",
    "I;16",
    "F",
)
READ = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM", "ICO")
NOT_READ = ("TGA", "PCX", "SGI", "DDS", "PDF", "EPS", "QOI", "ICNS", "IM", "XBM", "MSP", "SPIDER", "BLP", "PALM")
_MAGIC = (
    b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"RIFF\0\0\0\0WEBP", b"II*\0", b"MM\0*", b"P6\n",
    b"\0\0\0\x0cjP  \r\n\x87\n", b"\0\0\1\0", b"%PDF-1.7", b"%!PS-Adobe", b"PK\3\4", b"<svg ", b"\x7fELF", b"MZ",
)  # fmt: skip


@dataclass(frozen=True)
class Odd:
    """A file that somebody sends as a picture; `what` says how it was made, `whole` whether it is one that has to be
    read."""

    what: str
    content: bytes
    whole: bool = False


def pictures(count: int, seed: int) -> Iterator[Odd]:
    """`count` of them; the first are the same for a greater count."""
    for number in range(count):
        yield picture(number, seed)


def picture(number: int, seed: int) -> Odd:
    """One of them by its number."""
    random = Random(f"{seed} {number}")
    if number % 10 == 9:
        made = random.choice(_MADE)
        return Odd(f"{number} {made.__name__.strip('_')}", made(random))
    what, whole = _written(random)
    change = random.choice(_CHANGES)
    width, height = map(int, what.split()[-1].split("x"))
    fine = change is _whole and what.split()[0] in READ and max(width, height) <= MAX_ASPECT * min(width, height)
    return Odd(f"{number} {what} {change.__name__.strip('_')}", change(whole, random), fine)


@cache
def _photographs() -> tuple[Image.Image, ...]:
    names = ("astronaut", "chelsea", "coffee", "camera", "page", "text")
    return tuple(Image.fromarray(getattr(data, name)()).convert("RGB") for name in names)


def _base(random: Random) -> Image.Image:
    kind = random.randrange(8)
    if kind == 0:
        return Image.new("RGB", (random.randint(1, 3), random.randint(1, 3)), random.choice(("black", "white", "red")))
    photograph = random.choice(_photographs())
    width, height = random.randint(1, 400), random.randint(1, 300)
    left, top = random.randrange(photograph.width), random.randrange(photograph.height)
    return photograph.crop((left, top, left + width, top + height))


def in_mode(image: Image.Image, mode: str) -> Image.Image:
    """An RGB picture in one of MODES; 32-bit ones hold 0..255."""
    if mode == "I;16":
        return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    if mode == "PA":
        return image.convert("P").convert("PA")
    if mode == "La":
        return image.convert("LA").convert("La")
    if mode == "RGBa":
        return image.convert("RGBA").convert("RGBa")
    if mode == "LAB":
        from PIL import ImageCms

        profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        return ImageCms.profileToProfile(image, *profiles, outputMode="LAB")
    return image.convert(mode)


def _written(random: Random) -> tuple[str, bytes]:
    image, mode = _base(random), random.choice(MODES)
    # One in eight in a format that is not read.
    name = random.choice(NOT_READ if random.randrange(8) == 0 else READ)
    options = _options(name, random)
    for kept in (mode, "RGB", "L", "1"):
        file = io.BytesIO()
        try:
            in_mode(image, kept).save(file, name, **options)
        except Exception:  # the format cannot hold this mode or size
            continue
        return f"{name} {kept} {image.width}x{image.height}", file.getvalue()
    return f"PNG RGB {image.width}x{image.height}", _png(image)


def _options(name: str, random: Random) -> dict:
    exif = Image.Exif()
    exif[0x0112] = random.choice((1, 3, 6, 8, 0, 9, 65535))
    if random.randrange(2):
        exif[0x010E] = "x" * random.choice((0, 10, 60000))
    options: dict[str, dict] = {
        "JPEG": {"quality": random.choice((1, 50, 95)), "progressive": random.random() < 0.5, "exif": exif},
        "PNG": {"exif": exif, "optimize": random.random() < 0.2} | random.choice(({}, {"transparency": 0})),
        "WEBP": {"lossless": random.random() < 0.5, "exif": exif.tobytes()},
        "TIFF": {"compression": random.choice((None, "tiff_lzw", "tiff_deflate", "packbits"))},
        "GIF": {"interlace": random.randrange(2)},
    }
    return options.get(name, {})


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _whole(content: bytes, random: Random) -> bytes:
    return content


def _cut(content: bytes, random: Random) -> bytes:
    return content[: random.randrange(len(content) + 1)]


def _cut_a_little(content: bytes, random: Random) -> bytes:
    return content[: -random.randint(1, 16)]


def _flipped(content: bytes, random: Random) -> bytes:
    changed = bytearray(content)
    for _ in range(random.choice((1, 3, 30, 300))):
        changed[random.randrange(len(changed))] = random.randrange(256)
    return bytes(changed)


def _lying_header(content: bytes, random: Random) -> bytes:
    changed = bytearray(content)
    for _ in range(random.randint(1, 3)):
        place, width = random.randrange(2, min(len(changed), 120)), random.choice((1, 2, 4))
        value = random.choice((0, 1, 2 ** (8 * width) - 1, 2 ** (8 * width - 1), 2 ** (8 * width - 1) - 1, 65536))
        lie = (value % 2 ** (8 * width)).to_bytes(width, random.choice(("little", "big")))
        changed[place : place + width] = lie
    return bytes(changed)


def _zeroed(content: bytes, random: Random) -> bytes:
    start = random.randrange(len(content))
    stop = min(len(content), start + random.choice((4, 64, 1024)))
    return content[:start] + bytes(stop - start) + content[stop:]


def _doubled_part(content: bytes, random: Random) -> bytes:
    start = random.randrange(len(content))
    part = content[start : start + random.choice((1, 10, 500))]
    return content[:start] + part * random.choice((2, 50)) + content[start:]


def _dropped_part(content: bytes, random: Random) -> bytes:
    start = random.randrange(len(content))
    return content[:start] + content[start + random.choice((1, 10, 500)) :]


def _other_magic(content: bytes, random: Random) -> bytes:
    magic = random.choice(_MAGIC)
    return magic + content[len(magic) :]


def _appended(content: bytes, random: Random) -> bytes:
    return content + random.choice((b"\0" * 1000, content, random.randbytes(5000), b"<script>alert(1)</script>"))


def _prepended(content: bytes, random: Random) -> bytes:
    return random.choice((b"\0", b"\r\n", b"\xef\xbb\xbf", random.randbytes(20))) + content


def _as_text(content: bytes, random: Random) -> bytes:
    return content.decode("latin-1").encode(random.choice(("utf-8", "utf-16")))


_CHANGES: tuple[Callable[[bytes, Random], bytes], ...] = (
    _whole, _whole, _cut, _cut, _cut_a_little, _flipped, _flipped, _lying_header, _lying_header, _zeroed, _doubled_part,
    _dropped_part, _other_magic, _appended, _prepended, _as_text,
)  # fmt: skip


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png_bomb(random: Random) -> bytes:
    width, height = random.choice(((30000, 30000), (7999, 7999), (2**31 - 1, 1), (1, 2**31 - 1), (65535, 65535)))
    rows = min(height, 4000)
    packed = zlib.compress(bytes(rows * (1 + min(width, 40000) // 8)), 9)
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")


def _png_text_bomb(random: Random) -> bytes:
    content = _png(Image.new("RGB", (20, 20)))
    body = b"Comment\0\0" + zlib.compress(bytes(random.choice((2**20, 80 * 2**20))), 9)
    return content[:33] + _chunk(b"zTXt", body) * random.choice((1, 3)) + content[33:]


def _icc_bomb(random: Random) -> bytes:
    content = _png(Image.new("RGB", (20, 20)))
    return content[:33] + _chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(50 * 2**20), 9)) + content[33:]


def _gif_bomb(random: Random) -> bytes:
    width, height = random.choice(((65535, 65535), (7000, 7000), (1, 65535)))
    head = b"GIF89a" + struct.pack("<HH", width, height) + b"\x80\0\0" + b"\0\0\0\xff\xff\xff"
    image = b"," + struct.pack("<HHHH", 0, 0, width, height) + b"\0\2\2L\1\0"
    return head + image * random.choice((1, 300)) + b";"


def _ico_bomb(random: Random) -> bytes:
    inner = _png_bomb(random)
    return struct.pack("<HHH", 0, 1, 1) + struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, len(inner), 22) + inner


def _bmp_bomb(random: Random) -> bytes:
    width, height = random.choice(((60000, 60000), (-5, 5), (5, -(2**31)), (2**31 - 1, 2**31 - 1), (7999, 7999)))
    header = struct.pack(
        "<IiiHHIIiiII", 40, width, height, 1, random.choice((1, 8, 24, 32)), random.choice((0, 1)), 0, 0, 0, 0, 0
    )
    return b"BM" + struct.pack("<IHHI", 54 + 100, 0, 0, 54) + header + bytes(100)


def _tiff_bomb(random: Random) -> bytes:
    width, height = random.choice(((60000, 60000), (7999, 7999), (0, 5), (5, 0)))
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, random.choice((1, 5, 7, 8, 32773)))]
    tags += [(262, 3, 1, 1), (273, 4, 1, 8), (278, 4, 1, height), (279, 4, 1, random.choice((10, 2**31)))]
    body = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *one) for one in tags)
    return b"II*\0" + struct.pack("<I", 8) + body + struct.pack("<I", random.choice((0, 8))) + bytes(50)


def _jpeg_bomb(random: Random) -> bytes:
    file = io.BytesIO()
    _base(random).resize((64, 64)).save(file, "JPEG")
    content = file.getvalue()
    place = content.index(b"\xff\xc0") + 5
    size = random.choice(((65535, 65535), (7999, 7999), (0, 64), (64, 0), (1, 65535)))
    return content[:place] + struct.pack(">HH", *size) + content[place + 4 :]


def _jpeg_of_many_scans(random: Random) -> bytes:
    file = io.BytesIO()
    _photographs()[0].resize((512, 512)).save(file, "JPEG", progressive=True)
    content = file.getvalue()
    # The last scan, again and again: each is decoded over the whole picture.
    scan = content[content.rindex(b"\xff\xda") : -2]
    return content[:-2] + scan * random.choice((50, min(3000, 2**21 // max(1, len(scan))))) + b"\xff\xd9"


def _large_plain_png(random: Random) -> bytes:
    return _png(Image.new(random.choice(("1", "L")), (5000, 4000)))


def _ppm_comment(random: Random) -> bytes:
    comment = b"#" + b"x" * random.choice((10, 2**20, 10 * 2**20)) + b"\n"
    return b"P6\n" + comment + b"2 2\n255\n" + bytes(12)


def _plain_ppm(random: Random) -> bytes:
    size = random.choice((b"2 2", b"99999 99999", b"-1 2", b"0 0", b"2 2 2", b"\xff 2"))
    return random.choice((b"P1\n", b"P2\n", b"P3\n")) + size + b"\n255\n" + b"1 " * random.choice((12, 3)) + b"1"


def _no_picture(random: Random) -> bytes:
    return random.choice(
        (b"", b"\0", b"hello", b"{}", b"<html></html>", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.4\n",
         b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n", b"file:///etc/passwd", b"PK\3\4" + bytes(100),
         b"\x80\4\x95" + bytes(30), "\u202eпривет".encode(), random.randbytes(2000), bytes(2**20))
    )  # fmt: skip


def _extreme_shape(random: Random) -> bytes:
    return _png(
        Image.new("RGB", random.choice(((1, 1), (1, 50), (51, 1), (3000, 60), (3001, 60), (1, 3000), (10001, 2))))
    )


def _many_frames(random: Random) -> bytes:
    frames = [Image.new("P", (60, 60), number % 256) for number in range(random.choice((2, 400)))]
    file = io.BytesIO()
    frames[0].save(file, random.choice(("GIF", "WEBP", "TIFF", "PNG")), save_all=True, append_images=frames[1:])
    return file.getvalue()


_MADE: tuple[Callable[[Random], bytes], ...] = (
    _png_bomb, _png_text_bomb, _icc_bomb, _gif_bomb, _ico_bomb, _bmp_bomb, _tiff_bomb, _jpeg_bomb, _jpeg_of_many_scans,
    _large_plain_png, _ppm_comment, _plain_ppm, _no_picture, _no_picture, _extreme_shape, _many_frames,
)  # fmt: skip
