"""Remakes the sprite atlas from Noto Color Emoji: `python -m moai.data.drawn.render.make_atlas [--font FILE]`.

The font is packaged in Debian and Ubuntu as fonts-noto-color-emoji. A few things that it does not draw (a bench, a
table) are drawn here.
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from moai.data.drawn.catalog import SPRITE_SOURCES

FONT = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"
FOLDER = Path(__file__).parent / "atlas"
CELL = 128
COLUMNS = 8
PER_SHEET = COLUMNS * COLUMNS
INNER = CELL - 2


def emoji_image(font: ImageFont.FreeTypeFont, text: str) -> Image.Image:
    """The emoji as RGBA at the font's own size (about 128 px), cropped to what is drawn."""
    canvas = Image.new("RGBA", (320, 220))
    ImageDraw.Draw(canvas).text((40, 40), text, font=font, embedded_color=True)
    extent = canvas.getbbox()
    if extent is None or extent[2] - extent[0] > 160:
        raise ValueError(f"the font has no single drawing for {text!r}")
    return canvas.crop(extent)


def part_of(picture: Image.Image, which: int) -> Image.Image:
    """The connected part number `which`, counted from the left, among the large ones."""
    pixels = np.array(picture)
    _, labels, stats, _ = cv2.connectedComponentsWithStats((pixels[..., 3] > 40).astype(np.uint8))
    large = [i for i in range(1, len(stats)) if stats[i, cv2.CC_STAT_AREA] > 400]
    large.sort(key=lambda i: stats[i, cv2.CC_STAT_LEFT])
    pixels[labels != large[which]] = 0
    return Image.fromarray(pixels)


def drawn_image(name: str, font: ImageFont.FreeTypeFont) -> Image.Image:
    """A sprite that the font lacks, drawn at 8 times the cell size."""
    if name == "@fork":
        return part_of(emoji_image(font, "🍴"), 0)
    if name == "@knife":
        return part_of(emoji_image(font, "🍴"), 1)
    canvas = Image.new("RGBA", (1000, 1000))
    draw = ImageDraw.Draw(canvas)
    kind, _, colour = name[1:].partition("_")
    wood = {"brown": ("#9c6238", "#7a4826"), "green": ("#3f8f5a", "#2b6a40"), "white": ("#e8e4da", "#bdb7a8")}
    if kind == "bench":
        light, dark = wood[colour]
        for x in (110, 840):
            draw.rounded_rectangle((x, 250, x + 50, 800), 15, fill=dark)
        for y in (250, 350, 450):
            draw.rounded_rectangle((40, y, 960, y + 70), 20, fill=light, outline=dark, width=8)
        draw.rounded_rectangle((20, 560, 980, 640), 20, fill=light, outline=dark, width=8)
    elif kind == "table":
        light, dark = wood[colour]
        for x in (110, 820):
            draw.polygon([(x, 380), (x + 70, 380), (x + 55, 850), (x + 15, 850)], fill=dark)
        draw.rectangle((90, 370, 910, 450), fill=dark)
        draw.rounded_rectangle((20, 300, 980, 390), 25, fill=light, outline=dark, width=8)
    elif kind == "surfboard":
        main, stripe = {"red": ("#e5533d", "#fff3d6"), "blue": ("#2a7fd4", "#ffd94a")}[colour]
        draw.ellipse((20, 400, 980, 600), fill=main, outline="#444444", width=8)
        draw.rectangle((90, 485, 910, 515), fill=stripe)
        draw.polygon([(820, 590), (880, 690), (900, 560)], fill="#444444")
    elif kind == "bat":
        draw.polygon([(470, 30), (530, 30), (560, 90), (555, 450), (520, 800), (480, 800), (445, 450), (440, 90)],
                     fill="#d9a05b", outline="#8a5a24", width=8)  # fmt: skip
        draw.rectangle((476, 700, 524, 930), fill="#3b3b3b")
        draw.ellipse((450, 910, 550, 970), fill="#d9a05b", outline="#8a5a24", width=8)
        canvas = canvas.rotate(-40, Image.Resampling.BICUBIC)
    elif kind == "refrigerator":
        body, edge = {"white": ("#eef1f4", "#9aa4ae"), "blue": ("#8fb8d8", "#557e9e")}[colour]
        draw.rounded_rectangle((270, 40, 730, 960), 40, fill=body, outline=edge, width=14)
        draw.line((270, 360, 730, 360), fill=edge, width=14)
        draw.rounded_rectangle((320, 180, 350, 320), 10, fill=edge)
        draw.rounded_rectangle((320, 410, 350, 640), 10, fill=edge)
    elif kind == "microwave":
        draw.rounded_rectangle((30, 220, 970, 780), 40, fill="#c9ced3", outline="#6f777f", width=14)
        draw.rounded_rectangle((90, 290, 680, 710), 30, fill="#2f3a44", outline="#6f777f", width=10)
        draw.rectangle((760, 290, 910, 370), fill="#2fd07a")
        for y in (430, 530, 630):
            for x in (765, 845):
                draw.rectangle((x, y, x + 60, y + 60), fill="#6f777f")
    else:
        raise ValueError(f"no drawing named {name}")
    return canvas


def to_cell(picture: Image.Image) -> Image.Image:
    """Scales what is drawn so that its longer side fills the cell but for one pixel all round, and centres it."""
    picture = picture.crop(picture.getbbox())
    factor = INNER / max(picture.size)
    size = tuple(max(1, round(side * factor)) for side in picture.size)
    cell = Image.new("RGBA", (CELL, CELL))
    cell.paste(picture.resize(size, Image.Resampling.LANCZOS), ((CELL - size[0]) // 2, (CELL - size[1]) // 2))
    return cell


def make(font_path: str = FONT, folder: Path = FOLDER) -> int:
    """Writes sheet_*.webp (8 x 8 cells of 128 px, RGBA) and sprites.json; returns the number of sprites."""
    font = ImageFont.truetype(font_path, 109)
    index: dict[str, list[dict]] = {}
    cells = []
    for label, sources in SPRITE_SOURCES.items():
        for source, tag in sources:
            picture = drawn_image(source, font) if source.startswith("@") else emoji_image(font, source)
            facing = "left" if tag.endswith("<") else ""
            entry = {"cell": len(cells), "source": source, "pose": tag.rstrip("<"), "facing": facing}
            index.setdefault(label, []).append(entry)
            cells.append(to_cell(picture))
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(0, len(cells), PER_SHEET):
        sheet = Image.new("RGBA", (CELL * COLUMNS, CELL * COLUMNS))
        for i, cell in enumerate(cells[number : number + PER_SHEET]):
            sheet.paste(cell, (i % COLUMNS * CELL, i // COLUMNS * CELL))
        sheet.save(folder / f"sheet_{number // PER_SHEET}.webp", quality=92, alpha_quality=100, method=6)
    lines = (f"  {json.dumps(label)}: {json.dumps(items, ensure_ascii=False)}" for label, items in index.items())
    text = ",\n".join(lines)
    (folder / "sprites.json").write_text("{\n" + text + "\n}\n", encoding="utf-8")
    return len(cells)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--font", default=FONT)
    print(make(parser.parse_args().font), "sprites")
