"""Has a model make drafts about the pictures of an experiment's source, for the turn that makes one answer out of them.

    python -m moai.training.drafts deliberate --model weights/moai-nano --pictures 800

What the file of the experiment's data holds already is not asked again.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from moai.data.drafts import source_of
from moai.data.registry import rows_for
from moai.data.rows import ImageRows
from moai.evaluation.photos.speaker import Speaker
from moai.evaluation.strategies.asking import Asker, Way, read
from moai.evaluation.strategies.questions import Asked
from moai.inference.strategies.deliberation import check_samples, said
from moai.loading import device_named
from moai.terminal import Parser, guarded, quiet_libraries
from moai.training.experiment import ModelExperiment, load_experiment
from perception.files.whole import lines_of
from perception.presets import preset_experts
from perception.scene import Scene

_AT_ONCE = 16
"""Pictures whose questions are asked in batches together."""


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = Parser(prog="python -m moai.training.drafts", description=(__doc__ or "").splitlines()[0])
    made.add_argument("experiment", nargs="?", default="deliberate", help="whose data are drafts (default: deliberate)")
    made.add_argument("overrides", nargs="*", metavar="key=value", help="its other settings")
    made.add_argument("--model", required=True, help="a MoAI model: its own drafts")
    made.add_argument("--pictures", type=int, default=800, metavar="N", help="positions of the source (default: 800)")
    made.add_argument("--samples", type=int, default=6, metavar="N", help="drafts of each question (default: 6)")
    made.add_argument("--temperature", type=float, default=1.0, metavar="T", help="of the drafts (default: 1)")
    made.add_argument("--tokens", type=int, default=16, metavar="N", help="of the longest answer (default: 16)")
    made.add_argument("--seed", type=int, default=0, help="of the source's pictures (default: 0)")
    made.add_argument("--batch-size", type=int, default=96, metavar="N", help="drafts at once (default: 96)")
    made.add_argument("--device", help="cpu, cuda, ... (default: cuda where there is one)")
    return made


def main(argv: list[str] | None = None) -> int:
    """Command line: 0 when it went well, 2 after one sentence on standard error when it did not."""
    words = sys.argv[1:] if argv is None else argv
    return guarded(lambda: _run(parser().parse_args(words)))


def _run(given: argparse.Namespace) -> None:
    quiet_libraries()
    check_samples(given.samples)
    for name in ("pictures", "tokens", "batch_size", "temperature"):
        if not getattr(given, name) > 0:
            raise ValueError(f"--{name.replace('_', '-')} is {getattr(given, name):g}; it must be above 0")
    settings = _drafts_of(load_experiment(given.experiment, given.overrides))
    path = Path(settings["file"]).expanduser()
    speaker = Speaker.moai(given.model, device_named(given.device), given.batch_size)
    preset = speaker.model.config.experts_from
    rows = rows_for(speaker.processor, experts=preset_experts(preset), experts_from=preset)
    assert isinstance(rows, ImageRows)
    source = source_of(settings.get("of") or {"name": "drawn"}, rows, given.seed)
    start = _go_on(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        for first in range(start, given.pictures, _AT_ONCE):
            lot = range(first, min(first + _AT_ONCE, given.pictures))
            for record in drafts(source, lot, speaker, given.samples, given.temperature, given.tokens, given.seed):
                file.write(json.dumps(record, ensure_ascii=False) + "\n")
            file.flush()
            print(f"{lot.stop:,} of {given.pictures:,} pictures", file=sys.stderr)


def drafts(
    source, positions: Sequence[int], speaker: Speaker, samples: int, temperature: float, tokens: int, seed: int
) -> Iterator[dict[str, Any]]:
    """A record, as `moai.data.drafts.read_drafts` takes them, of each question whose right answer has at most so many
    tokens."""
    asked, truths = [], {}
    for position in positions:
        for example in source.examples(position):
            if example.image is None:
                continue  # there is nothing to weigh drafts against
            pixels = np.asarray(example.image)
            scene = example.scene or Scene(pixels.shape[1], pixels.shape[0])
            for number, (question, answer) in enumerate(example.turns):
                if len(speaker.processor.answer_ids(answer)) <= tokens:
                    key = f"{position}/{number}"
                    asked.append(Asked(key, "", question, bool, f"{position}", lambda one=pixels: one, scene))
                    truths[key] = (position, answer)
    way, kept = Way("drafts", samples, temperature), _Kept()
    Asker(speaker, tokens, seed).ask(way, asked, kept)
    for one in asked:
        position, answer = truths[one.key]
        texts = [draft.text for draft in read(kept.answers[f"{way.name}|{one.key}"])]
        right = [said(text) == said(answer) for text in texts]
        yield {
            "seed": seed, "position": position, "question": one.question, "answer": answer, "drafts": texts,
            "right": right,
        }  # fmt: skip


class _Kept:
    """Takes answers as a journal does, for as long as they are needed."""

    def __init__(self) -> None:
        self.answers: dict[str, str] = {}

    def add(self, rows) -> None:
        self.answers |= {row["key"]: row["answer"] for row in rows}


def _drafts_of(experiment: Any) -> Mapping[str, Any]:
    data = experiment.data if isinstance(experiment, ModelExperiment) else ()
    found = [one for one in data if one.get("name") == "drafts" and one.get("file")]
    if len(found) != 1:
        raise ValueError("the experiment needs one source named drafts with a file; see configs/train/deliberate.yaml")
    return found[0]


def _go_on(path: Path) -> int:
    """The first position that is not there yet; of the last one, which may not be whole, nothing is kept."""
    if not path.exists():
        return 0
    lines = lines_of(path.read_text(encoding="utf-8"))
    records = []
    for line in lines:
        try:
            records.append((json.loads(line)["position"], line))
        except (ValueError, KeyError, TypeError):
            break  # a line that was being written
    if not records:
        return 0
    last = records[-1][0]
    path.write_text("".join(f"{line}\n" for position, line in records if position != last), encoding="utf-8")
    return last


if __name__ == "__main__":
    raise SystemExit(main())
