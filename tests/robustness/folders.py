"""Model folders that are broken, lie about themselves or want to run code of theirs."""

import json
import os
import pickle
import shutil
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import torch
from PIL import Image

from tests.conftest import save_tiny, tiny_processor, tiny_tokenizer
from tests.robustness.tally import Tally

ODD: tuple[Any, ...] = (
    None, -1, 0, 1, 7, 10**12, 1e308, 0.5, True, "", "x", "../..", [], [0], [10**9], {}, {"a": 1}, "float128",
    "NaN", [[]], "\ud83d",
)  # fmt: skip
_SECONDS, _MEMORY = 120, 12 * 2**30
_PICKLED, _REMOTE, _TEMPLATE = "pickled code", "remote code", "template"


class _Runs:
    """Pickled, it makes a file when it is loaded."""

    def __init__(self, sign: Path):
        self.sign = sign

    def __reduce__(self):
        return (os.mkdir, (str(self.sign),))


def folders(count: int, seed: int) -> Tally:
    """`count` changed copies of a tiny model, loaded and asked in a process each: an answer or a sentence.

    `leaked` counts those whose own code ran.
    """
    tally = Tally("Model folders", f"folders --folders {count} --seed {seed}", quotes=True)
    with tempfile.TemporaryDirectory() as temporary:
        whole = save_tiny(tiny_processor(tiny_tokenizer()), Path(temporary) / "whole")
        changes: list[tuple[str, Callable[[Path, Path], None]]] = [("whole", lambda folder, sign: None), *_malicious()]
        random = Random(seed)
        changes += [_change(whole, random) for _ in range(count - len(changes))]
        for number, (what, change) in enumerate(changes[:count]):
            folder, sign = Path(temporary) / str(number), Path(temporary) / f"sign {number}"
            shutil.copytree(whole, folder)
            change(folder, sign)
            tally.alone(f"{number} {what}", lambda folder=folder: ask(folder), _SECONDS, _MEMORY)
            if sign.exists():
                tally.leak(f"{number} {what}: the folder's code ran")
            shutil.rmtree(folder, ignore_errors=True)
    return tally


def ask(folder: Path) -> str:
    """Load a model without experts, and ask it."""
    from moai import MoAI

    assistant = MoAI.from_pretrained(folder, experts=[], device="cpu")
    return assistant.ask(Image.new("RGB", (40, 30), "red"), "What is this?", max_new_tokens=2).text


def _malicious() -> list[tuple[str, Callable[[Path, Path], None]]]:
    def pickled(folder: Path, sign: Path) -> None:
        (folder / "model.safetensors").unlink()
        with (folder / "pytorch_model.bin").open("wb") as file:
            pickle.dump(_Runs(sign), file)

    def torch_file(folder: Path, sign: Path) -> None:
        (folder / "model.safetensors").unlink()
        torch.save({"weight": _Runs(sign)}, folder / "pytorch_model.bin")

    def pickled_as_safetensors(folder: Path, sign: Path) -> None:
        torch.save({"weight": _Runs(sign)}, folder / "model.safetensors")

    def remote(file: str, key: str):
        def change(folder: Path, sign: Path) -> None:
            (folder / "evil.py").write_text(f"import os\nos.mkdir({str(sign)!r})\nclass Evil:\n    pass\n")
            settings = json.loads((folder / file).read_text()) if (folder / file).is_file() else {}
            settings["auto_map"] = {key: "evil.Evil"}
            (folder / file).write_text(json.dumps(settings))

        return change

    def template(text: str):
        def change(folder: Path, sign: Path) -> None:
            (folder / "chat_template.jinja").write_text(text.replace("SIGN", str(sign)))

        return change

    reach = "{{ cycler.__init__.__globals__.os.mkdir('SIGN') }}"
    deeper = (
        "{% for c in ''.__class__.__mro__[1].__subclasses__() %}"
        "{{ c.__init__.__globals__['os'].mkdir('SIGN') }}{% endfor %}"
    )
    return [
        (_PICKLED, pickled),
        (_PICKLED, torch_file),
        (_PICKLED, pickled_as_safetensors),
        (f"{_REMOTE} of a model", remote("config.json", "AutoConfig")),
        (f"{_REMOTE} of a tokenizer", remote("tokenizer_config.json", "AutoTokenizer")),
        (f"{_REMOTE} of a processor", remote("processor_config.json", "AutoProcessor")),
        (f"{_TEMPLATE} that reaches for modules", template(reach)),
        (f"{_TEMPLATE} that reaches deeper", template(deeper)),
    ]


def _change(whole: Path, random: Random) -> tuple[str, Callable[[Path, Path], None]]:
    names = sorted(one.name for one in whole.iterdir())
    settings = [name for name in names if name.endswith(".json") and name != "tokenizer.json"]
    name = random.choice(settings if random.random() < 0.6 else names)
    kind = random.choice((_other_value,) * 6 + (_other_file,) * 3) if name in settings else _other_file
    if name == "model.safetensors" and random.random() < 0.7:
        kind = _other_tensors
    return kind(whole / name, random)


def _other_value(path: Path, random: Random) -> tuple[str, Callable[[Path, Path], None]]:
    record = json.loads(path.read_text())
    within, trail = record, []
    while True:
        key = random.choice(list(within))
        trail.append(key)
        if not isinstance(within[key], dict) or not within[key] or random.random() < 0.1:
            break
        within = within[key]
    missing = random.random() < 0.15
    value = random.choice(ODD)
    if missing:
        del within[key]
    else:
        within[key] = value
    text = json.dumps(record)
    what = f"{path.name} {'.'.join(map(str, trail))} {'missing' if missing else f'= {value!a}'}"
    return what, lambda folder, sign: _write(folder / path.name, text.encode())


def _other_file(path: Path, random: Random) -> tuple[str, Callable[[Path, Path], None]]:
    content = path.read_bytes()
    cut = content[: random.randrange(len(content))]
    changed = bytearray(content)
    for _ in range(random.choice((1, 10, 100))):
        changed[random.randrange(len(changed))] = random.randrange(256)
    ways: dict[str, bytes | None] = {
        "missing": None, "empty": b"", "cut": cut, "flipped": bytes(changed), "{}": b"{}", "[]": b"[]",
        "null": b"null", "3": b"3",
        "nested": b'{"a":' * 5000, "no text": bytes(range(256)), "text": b"hello", "NaN": b'{"vocab_size": NaN}',
    }  # fmt: skip
    way = random.choice([*ways, "a folder", "a loop"])

    def change(folder: Path, sign: Path) -> None:
        place = folder / path.name
        place.unlink()
        if way == "a folder":
            place.mkdir()
        elif way == "a loop":
            place.symlink_to(place)
        elif ways[way] is not None:
            _write(place, ways[way] or b"")

    return f"{path.name} {way}", change


def _other_tensors(path: Path, random: Random) -> tuple[str, Callable[[Path, Path], None]]:
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    header, body = json.loads(content[8 : 8 + size]), content[8 + size :]
    name = random.choice([one for one in header if one != "__metadata__"])
    ways: dict[str, Callable[[], Any]] = {
        "missing": lambda: header.pop(name),
        "one more": lambda: header.update({f"more.{name}": header[name]}),
        "another name": lambda: header.update({f"x{name}": header.pop(name)}),
        "another shape": lambda: header[name].update(shape=[10**9]),
        "another dtype": lambda: header[name].update(dtype=random.choice(("I8", "BOOL", "F99", None))),
        "beyond the end": lambda: header[name].update(data_offsets=[0, 10**15]),
        "backwards": lambda: header[name].update(data_offsets=[10, 0]),
        "turned": lambda: header[name].update(shape=header[name]["shape"][::-1]),
        "no metadata": lambda: header.pop("__metadata__", None),
    }
    way = random.choice([*ways, "a long header", "no header", "not a number"])
    length = None
    if way == "a long header":
        length = 2**62
    elif way == "no header":
        length = 0
    elif way == "not a number":
        body = b"\xff" * len(body)
    else:
        ways[way]()
    text = json.dumps(header).encode()
    written = struct.pack("<Q", len(text) if length is None else length) + text + body
    return f"{path.name} {name} {way}", lambda folder, sign: _write(folder / path.name, written)


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
