"""Tiny random networks in the hub's format, as a person finds them there."""

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
