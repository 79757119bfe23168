"""Tiny random networks in the hub's format, as a person finds them there."""

import json
from pathlib import Path

import torch

NAMES = {0: "person", 1: "dog", 2: "car", 3: "N/A"}
_STAGES = {"embedding_size": 8, "hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1]}
_THREE = ["stage2", "stage3", "stage4"]


def save(network, processor, folder: Path) -> Path:
    """Saves both with weights large enough to tell pictures apart, and an own name for `folder`."""
    torch.manual_seed(0)
    for parameter in network.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter.data, 0, 0.5)
    network.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def detr(folder: Path) -> Path:
    """DETR: inputs of the picture's own shape, softmax over the names and nothing."""
    from transformers import DetrConfig, DetrForObjectDetection, DetrImageProcessor, ResNetConfig

    config = DetrConfig(
        use_timm_backbone=False, backbone=None, num_queries=6, id2label=NAMES, **_transformer(1),
        backbone_config=ResNetConfig(layer_type="basic", out_features=["stage4"], **_STAGES),
    )  # fmt: skip
    return save(DetrForObjectDetection(config), DetrImageProcessor(size=_EDGES), folder)


def yolos(folder: Path) -> Path:
    """YOLOS: a vision transformer with detection tokens."""
    from transformers import YolosConfig, YolosForObjectDetection, YolosImageProcessor

    config = YolosConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=[64, 64],
        num_detection_tokens=6, id2label=NAMES,
    )  # fmt: skip
    return save(YolosForObjectDetection(config), YolosImageProcessor(size=_EDGES), folder)


def rt_detr_v2(folder: Path) -> Path:
    """RT-DETR v2: inputs of one shape, a sigmoid for each name."""
    from transformers import RTDetrImageProcessor, RTDetrResNetConfig, RTDetrV2Config, RTDetrV2ForObjectDetection

    backbone = RTDetrResNetConfig(layer_type="basic", out_features=_THREE, **_STAGES)
    network = RTDetrV2ForObjectDetection(RTDetrV2Config(backbone_config=backbone, **_REAL_TIME))
    return save(network, RTDetrImageProcessor(size={"height": 64, "width": 64}), folder)


def d_fine(folder: Path) -> Path:
    """D-FINE, with the image processor of RT-DETR."""
    from transformers import DFineConfig, DFineForObjectDetection, HGNetV2Config, RTDetrImageProcessor

    backbone = HGNetV2Config(
        stem_channels=[3, 8, 8], stage_in_channels=[8, 8, 8, 16], stage_mid_channels=[4] * 4,
        stage_out_channels=[8, 8, 16, 16], stage_num_blocks=[1] * 4, stage_numb_of_layers=[1] * 4,
        out_features=_THREE, **_STAGES,
    )  # fmt: skip
    network = DFineForObjectDetection(DFineConfig(backbone_config=backbone, **_REAL_TIME))
    return save(network, RTDetrImageProcessor(size={"height": 64, "width": 64}), folder)


def _transformer(layers: int) -> dict:
    sizes = {"encoder_layers": 1, "decoder_layers": layers, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16}
    return {"d_model": 16, "encoder_attention_heads": 2, "decoder_attention_heads": 2, **sizes}


_EDGES = {"shortest_edge": 64, "longest_edge": 96}
_REAL_TIME = {
    "encoder_hidden_dim": 16, "encoder_in_channels": [8, 16, 16], "feat_strides": [8, 16, 32], "num_denoising": 0,
    "decoder_in_channels": [16] * 3, "num_queries": 6, "id2label": NAMES, **_transformer(2),
}  # fmt: skip


def mask2former(folder: Path) -> Path:
    """Mask2Former on Swin, with names of COCO's things and stuff and one that COCO does not know."""
    from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, Mask2FormerImageProcessor

    config = Mask2FormerConfig(
        backbone_config=_swin(), id2label=REGIONS, feature_size=32, mask_feature_size=32, hidden_dim=32,
        encoder_feedforward_dim=16, encoder_layers=1, decoder_layers=3, num_attention_heads=2, dim_feedforward=16,
        num_queries=8,
    )  # fmt: skip
    processor = Mask2FormerImageProcessor(size=_EDGES, num_labels=len(REGIONS), ignore_index=255)
    return save(Mask2FormerForUniversalSegmentation(config), processor, folder)


def oneformer(folder: Path) -> Path:
    """OneFormer on Swin, which is told the task in words."""
    from transformers import (
        OneFormerConfig,
        OneFormerForUniversalSegmentation,
        OneFormerImageProcessor,
        OneFormerProcessor,
    )

    config = OneFormerConfig(
        backbone_config=_swin(), id2label=REGIONS, num_queries=8, conv_dim=32, mask_dim=32, hidden_dim=32,
        encoder_feedforward_dim=16, encoder_layers=1, decoder_layers=3, num_attention_heads=2, dim_feedforward=16,
        task_seq_len=16,
    )  # fmt: skip
    classes = {str(number): {"name": name, "isthing": int(number < 2)} for number, name in REGIONS.items()}
    (folder / "classes.json").write_text(json.dumps(classes))
    images = OneFormerImageProcessor(
        size=_EDGES, num_labels=len(REGIONS), ignore_index=255, repo_path=str(folder), class_info_file="classes.json"
    )
    processor = OneFormerProcessor(images, clip_tokenizer(), max_seq_length=16, task_seq_length=16)
    return save(OneFormerForUniversalSegmentation(config), processor, folder)


def eomt(folder: Path) -> Path:
    """EoMT: a vision transformer whose queries are masks; pictures are padded to a square."""
    from transformers import EomtConfig, EomtForUniversalSegmentation, EomtImageProcessor

    config = EomtConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=64, num_upscale_blocks=1, num_blocks=1,
        num_queries=8, num_register_tokens=1, id2label=REGIONS,
    )  # fmt: skip
    processor = EomtImageProcessor(size={"shortest_edge": 64, "longest_edge": 64}, do_pad=True)
    return save(EomtForUniversalSegmentation(config), processor, folder)


def clip_tokenizer():
    """A CLIP tokenizer that knows letters alone."""
    from transformers import CLIPTokenizer

    letters = [f"{letter}{end}" for letter in map(chr, range(33, 127)) for end in ("", "</w>")]
    words = {word: number for number, word in enumerate([*letters, "<|startoftext|>", "<|endoftext|>"])}
    return CLIPTokenizer(vocab=words, merges=[], model_max_length=16)


def _swin():
    from transformers import SwinConfig

    stages = [f"stage{number}" for number in range(1, 5)]
    return SwinConfig(image_size=64, embed_dim=8, depths=[1] * 4, num_heads=[1] * 4, window_size=4, out_features=stages)


REGIONS = {0: "person", 1: "dog", 2: "grass-merged", 3: "wall-other-merged", 4: "sidewalk, pavement"}


def owlv2(folder: Path) -> Path:
    """OWLv2: pictures padded to a square, prompts read by a text encoder."""
    from transformers import Owlv2ForObjectDetection, Owlv2ImageProcessor, Owlv2Processor

    network = Owlv2ForObjectDetection(_owl())
    return save(network, Owlv2Processor(Owlv2ImageProcessor(size=_SQUARE), clip_tokenizer()), folder)


def owlvit(folder: Path) -> Path:
    """OWL-ViT: pictures stretched to a square."""
    from transformers import OwlViTConfig, OwlViTForObjectDetection, OwlViTImageProcessor, OwlViTProcessor

    network = OwlViTForObjectDetection(OwlViTConfig(**_owl_parts()))
    return save(network, OwlViTProcessor(OwlViTImageProcessor(size=_SQUARE), clip_tokenizer()), folder)


def grounding_dino(folder: Path) -> Path:
    """Grounding DINO: names as one text, with room for few of them."""
    from transformers import (
        BertConfig,
        BertTokenizer,
        GroundingDinoConfig,
        GroundingDinoForObjectDetection,
        GroundingDinoImageProcessor,
        GroundingDinoProcessor,
    )

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "?", "a", "cat", "dog", "red", "car", "tree"]
    text = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    config = GroundingDinoConfig(
        backbone_config=_swin(), text_config=text, num_queries=6, max_text_len=10, num_feature_levels=4,
        **{**_transformer(2), "d_model": 32},
    )  # fmt: skip
    tokenizer = BertTokenizer(vocab={word: number for number, word in enumerate(words)})
    processor = GroundingDinoProcessor(GroundingDinoImageProcessor(size=_EDGES), tokenizer)
    return save(GroundingDinoForObjectDetection(config), processor, folder)


def _owl():
    from transformers import Owlv2Config

    return Owlv2Config(**_owl_parts())


def _owl_parts() -> dict:
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    return {
        "text_config": {**sizes, "vocab_size": 200, "max_position_embeddings": 16},
        "vision_config": {**sizes, "image_size": 64, "patch_size": 16},
        "projection_dim": 16,
    }


_SQUARE = {"height": 64, "width": 64}


def vit(folder: Path) -> Path:
    """A vision transformer that classifies."""
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    config = ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=32, id2label=NAMES
    )
    return save(ViTForImageClassification(config), ViTImageProcessor(size={"height": 32, "width": 32}), folder)


def timm_folder(folder: Path) -> Path:
    """A classifier in timm's own format for the hub, with names of its classes."""
    import timm
    from timm.models import save_for_hf

    torch.manual_seed(0)
    network = timm.create_model("test_vit", num_classes=3)
    save_for_hf(network, folder, model_config={"num_classes": 3, "label_names": ["cat", "dog", "tree"]})
    return folder
