"""Tests of transformers' suites that are not for MoAI, and why; docs/transformers.md has these reasons too."""

import unittest

SKIPPED = {
    "test_model_base_model_prefix": "MoAI has no base model of its own apart from its decoder",
    "test_apply_chat_template_assistant_mask": "a conversation has at most one picture",
    "test_init_arguments_not_in_class_attributes": "settings of pictures may be given to the processor itself",
    "test_init_arguments_not_in_processor_kwargs": "settings of pictures may be given to the processor itself",
}


def leave_out(suite: type) -> type:
    """The suite without what is in `SKIPPED`."""
    for name, reason in SKIPPED.items():
        if hasattr(suite, name):
            setattr(suite, name, unittest.skip(reason)(getattr(suite, name)))
    return suite
