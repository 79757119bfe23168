"""`moai build`."""

from pathlib import Path
from typing import Annotated

import typer

from moai.terminal import quiet_libraries

DTYPES = ("bfloat16", "float16", "float32")


def build(
    language_model: Annotated[
        str, typer.Option(metavar="ID|FOLDER|FILE.gguf", help="of transformers; also wheel:PACKAGE", show_default=False)
    ],
    vision: Annotated[
        str,
        typer.Option(
            metavar="ID|FOLDER|NAME",
            help="of transformers or timm; also ARCHITECTURE@FILE of timm, and wheel:PACKAGE",
            show_default=False,
        ),
    ],
    output: Annotated[Path, typer.Option(metavar="DIR", help="folder for the model", show_default=False)],
    experts_from: Annotated[str, typer.Option(metavar="PRESET", help="preset of experts that it listens to")] = "drawn",
    mixers: Annotated[
        str, typer.Option(metavar="every=N|LIST", help="decoder layers that hold a mixer: every Nth, or 3,7,11")
    ] = "every=4",
    image_size: Annotated[
        int | None, typer.Option(metavar="N", help="side of the picture in pixels (default: the encoder's own)")
    ] = None,
    feature_level: Annotated[int, typer.Option(metavar="N", help="feature map of a timm backbone, -1 = last")] = -1,
    rank: Annotated[int, typer.Option(metavar="N", help="of the mixers' projections, and of partial LoRA")] = 64,
    plora_rank: Annotated[
        int | None, typer.Option(metavar="N", help="of partial LoRA, 0 = none (default: that of the mixers)")
    ] = None,
    latents: Annotated[int, typer.Option(metavar="N", help="auxiliary tokens that the compressor makes")] = 64,
    parts: Annotated[int, typer.Option(metavar="N", help="runs of the experts' words, each read for itself")] = 1,
    prompt_style: Annotated[
        str, typer.Option(metavar="STYLE", help="chat (the tokenizer's chat template) or plain (USER: ... ASSISTANT:)")
    ] = "chat",
    dtype: Annotated[
        str | None, typer.Option(metavar="|".join(DTYPES), help="of the weights (default: the language model's)")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="of the new parts")] = 0,
):
    """Make a model of a pretrained language model and vision encoder.

    Its own branches start closed: until it is trained it answers text as the language model does. Then: moai train.
    """
    if dtype is not None and dtype not in DTYPES:
        raise ValueError(f"unknown dtype {dtype!r}; allowed are {', '.join(DTYPES)}")
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ValueError(f"{output} is there already; name a folder that is new or empty")
    quiet_libraries()
    import torch

    from moai.models.pretrained import build as made_of

    model, processor = made_of(
        language_model,
        vision,
        experts_from,
        mixers,
        image_size=image_size,
        feature_level=feature_level,
        rank=rank,
        plora_rank=plora_rank,
        latents=latents,
        parts=parts,
        prompt_style=prompt_style,
        dtype=None if dtype is None else getattr(torch, dtype),
        seed=seed,
    )
    model.save_pretrained(output)
    processor.save_pretrained(output)
    from moai.inference.fused import can_be_fused

    text, eyes = model.config.text_config, model.config.vision_config
    print(
        f"wrote {output}: {sum(one.numel() for one in model.parameters()) / 1e6:,.0f} M parameters, "
        f"{text.model_type} decoder of {text.num_hidden_layers} layers, mixers in {model.config.mixer_layers}, "
        f"{eyes.num_image_tokens} image tokens of {eyes.name} at {eyes.image_size} px"
    )
    if not can_be_fused(text):
        print(f"{text.model_type} decoders answer the plain way: the fast path does not know them")
