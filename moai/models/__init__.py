"""The model of the paper: configuration, mixers, compressor, partial LoRA, vision and the whole."""
