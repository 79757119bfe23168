"""`moai ask`."""

from typing import Annotated

import typer

from moai.cli.options import (
    TIME_LIMIT,
    Device,
    Experts,
    ExpertsFrom,
    Json,
    Memory,
    Model,
    Picture,
    Quantize,
    Swaps,
    TimeLimit,
    TrustPickles,
    looking,
)
from moai.terminal import print_json, quiet_libraries, typed


def ask(
    picture: Picture,
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="what you want to know", show_default=False)],
    json: Json = False,
    model: Model = None,
    experts: Experts = None,
    experts_from: ExpertsFrom = None,
    expert: Swaps = None,
    time_limit: TimeLimit = TIME_LIMIT,
    trust_pickles: TrustPickles = False,
    no_moai: Annotated[bool, typer.Option("--no-moai", help="ask the plain backbone, without experts")] = False,
    max_new_tokens: Annotated[int, typer.Option(metavar="N", help="longest answer")] = 96,
    temperature: Annotated[
        float | None, typer.Option(metavar="T", help="0 is greedy (default: 0, for several samples 0.7)")
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="of what is drawn by chance (default: none)")] = None,
    samples: Annotated[int, typer.Option(metavar="N", help="drafts of the answer, 1 to 64")] = 1,
    combine: Annotated[str, typer.Option(metavar="HOW", help="vote, or aggregate: an answer made out of all")] = "vote",
    window: Annotated[int, typer.Option(metavar="N", help="answers that are aggregated at once")] = 6,
    reserve: Annotated[int, typer.Option(metavar="N", help="places of a window for the answer so far")] = 3,
    contrast: Annotated[
        float, typer.Option(metavar="B", help="0 to 2: how much counts that a weaker self would not say it")
    ] = 0.0,
    weak: Annotated[
        str, typer.Option(metavar="SIDE", help="its weaker self: no-aux, second, uniform, random, backbone, rank2")
    ] = "no-aux",
    plausible: Annotated[
        float, typer.Option(metavar="A", help="what contrast may choose has so much of the best one's probability")
    ] = 0.1,
    device: Device = None,
    quantize: Quantize = None,
    memory: Memory = None,
):
    """Answer a question about a picture, and show the evidence."""
    if not question.strip():
        raise ValueError("the question is empty; ask something about the picture")
    quiet_libraries()
    from moai.assistant import Decoding, MoAI
    from perception.images import pixels_of

    # Before the models load, so that a typo is told at once.
    decoding = {
        "max_new_tokens": max_new_tokens, "temperature": temperature, "seed": seed, "samples": samples,
        "combine": combine, "window": window, "reserve": reserve, "contrast": contrast, "weak": weak,
        "plausible": plausible,
    }  # fmt: skip
    Decoding(**decoding)
    looks = looking(expert, time_limit, trust_pickles)
    image = pixels_of(picture)
    load = {"quantize": quantize, "experts_from": experts_from, "memory": memory, **looks}
    assistant = MoAI.from_pretrained(model, experts, device, **load)
    answer = assistant.ask(image, typed(question), moai=not no_moai, **decoding)
    if json:
        print_json(answer.to_dict())
    else:
        _show(answer, with_experts=not no_moai)


def _show(answer, with_experts: bool) -> None:
    from rich.console import Console

    from moai.cli.tables import plain, print_notes, scene_table, table
    from moai.settling import reason

    console = Console()
    console.print(plain(answer.text), style="bold")
    if answer.instead_of is not None:
        console.print(plain(f"the model wrote {answer.instead_of}, which {reason(answer.instead_of)}"))
    if answer.drafts:
        console.print(f"{round(answer.agreement * len(answer.drafts))} of {len(answer.drafts)} drafts agree")
    console.print()
    if answer.drafts:
        drafts = table("Drafts", "draft", "say so", "score")
        for draft in {draft.text: draft for draft in answer.drafts}.values():
            drafts.add_row(plain(draft.text), str(draft.votes), f"{draft.logprob:.2f}")
        console.print(drafts)
    if answer.changed:
        console.print(plain(f"Contrast chose otherwise at: {' | '.join(answer.changed)}"))
    if with_experts:
        console.print(scene_table(answer.scene))
    if answer.gates:
        columns = ("layer", "image tokens: aux / language / self", "language tokens: aux / image / self")
        gates = table("Whom the model listened to", *columns)
        for gate in answer.gates:
            shares = (" / ".join(f"{share:.0%}" for share in side.values()) for side in (gate.image, gate.language))
            gates.add_row(str(gate.layer), *shares)
        console.print(gates)
    if answer.experts:
        taken = table("Experts of the decoder that tokens took", "layer", "image", "words", "answer")
        for loads in answer.experts:
            taken.add_row(str(loads.layer), *map(_busiest, (loads.image, loads.words, loads.answer)))
        console.print(taken)
    print_notes(console, answer.scene.warnings, answer.timings)


def _busiest(shares: list[float]) -> str:
    """The two experts that were taken most, counted from 1."""
    places = sorted(range(len(shares)), key=lambda place: -shares[place])[:2]
    return ", ".join(f"{place + 1}: {shares[place]:.0%}" for place in places if shares[place])
