"""What lmms-eval finds through its entry-point group `lmms_eval.models`."""


def manifest():
    """The model name `moai`; its class is imported when it is asked for."""
    from lmms_eval.models.registry_v2 import ModelManifest

    return ModelManifest(model_id="moai", simple_class_path="moai.evaluation.lmms.model.MoAIHarness")
