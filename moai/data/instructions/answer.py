"""Has a plain language model answer the prompts, as what a model that grows out of it should still answer.

    python -m moai.data.instructions.answer MODEL OUT.jsonl

MODEL: a folder, a hub id or wheel:PACKAGE. OUT.jsonl: {"prompt": ..., "answer": ...} a line; an answer that was cut off
at --tokens ends with its last whole sentence. What OUT.jsonl holds already is not asked again.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from transformers import PreTrainedModel

from moai.data.instructions.own import own_prompts
from moai.data.instructions.prompts import prompts
from moai.data.instructions.source import read_answers
from moai.models.pretrained.language import load_language
from moai.models.processing import MoAIProcessor, pad
from moai.models.prompts import CHAT


def main(arguments: Sequence[str] | None = None) -> int:
    """Answers what the command line says; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m moai.data.instructions.answer", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("model", help="language model: a folder, a hub id or wheel:PACKAGE")
    parser.add_argument("output", type=Path, help="file of the answers (.jsonl)")
    parser.add_argument("--limit", type=int, help="prompts at most")
    parser.add_argument("--own", type=int, default=0, help="prompts that the model makes itself (default: none)")
    parser.add_argument("--without", type=Path, nargs="+", default=(), help="files whose questions it must not make")
    parser.add_argument("--seed", type=int, default=0, help="of those prompts")
    parser.add_argument("--batch", type=int, default=32, help="prompts at once (default: 32)")
    parser.add_argument("--tokens", type=int, default=128, help="tokens of an answer at most (default: 128)")
    parser.add_argument(
        "--device", default="cuda" if torch.cuda.is_available() else "cpu", help="default: a GPU if any"
    )
    given = parser.parse_args(arguments)
    try:
        if given.batch < 1 or given.tokens < 1 or given.own < 0:
            raise ValueError("--batch and --tokens must be positive, and --own not below 0")
        known = {prompt for prompt, _ in read_answers(given.output)} if given.output.exists() else set()
        waiting = [one for one in prompts()[: given.limit] if one not in known]
        told = "\n".join(path.read_text(encoding="utf-8") for path in given.without)
        model, processor = _speaker(given.model, torch.device(given.device))
        made = own_prompts(model, processor, given.own, given.batch, seed=given.seed, told=told)
        waiting += [one for one in made if one not in known]
        with given.output.open("a", encoding="utf-8") as file:
            for prompt, answer in answers(model, processor, waiting, given.batch, given.tokens):
                file.write(json.dumps({"prompt": prompt, "answer": answer}, ensure_ascii=False) + "\n")
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{len(waiting):,} prompts asked, {len(known):,} were there")
    return 0


def _speaker(name: str, device: torch.device) -> tuple[PreTrainedModel, MoAIProcessor]:
    model, tokenizer = load_language(name, torch.bfloat16 if device.type == "cuda" else torch.float32)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    torch.nn.Module.to(model, device)
    return model.eval(), MoAIProcessor(tokenizer, prompt_style=CHAT if tokenizer.chat_template else "plain")


@torch.inference_mode()
def answers(
    model: PreTrainedModel, processor: MoAIProcessor, asked: Sequence[str], batch: int, tokens: int
) -> Iterator[tuple[str, str]]:
    """Each prompt with the model's surest answer word for word (greedy); prompts without a whole sentence of an answer
    are left out."""
    device = next(model.parameters()).device
    tokenizer = processor.tokenizer
    for start in range(0, len(asked), batch):
        lot = asked[start : start + batch]
        ids = [processor.conversation_ids([{"role": "user", "content": one}], with_image=False) for one in lot]
        rows, mask = pad(ids, tokenizer.pad_token_id, left=True)
        said = model.generate(
            input_ids=rows.to(device), attention_mask=mask.to(device), max_new_tokens=tokens, do_sample=False,
            pad_token_id=tokenizer.pad_token_id,
        )[:, rows.shape[1] :]  # fmt: skip
        for prompt, answer in zip(lot, said.tolist(), strict=True):
            ended = any(token in answer for token in {tokenizer.eos_token_id, *tokenizer.all_special_ids})
            text = tokenizer.decode(answer, skip_special_tokens=True).strip()
            text = text if ended else whole_sentences(text)
            if text:
                yield prompt, text


def whole_sentences(text: str) -> str:
    """The text up to the end of its last sentence or paragraph; empty when none ends. "1." ends none."""
    ends = [found.end() for found in re.finditer(r"(?<!\d)[.!?](?=\s|$)|\n(?=\n)", text)]
    return text[: ends[-1]].strip() if ends else ""


if __name__ == "__main__":
    sys.exit(main())
