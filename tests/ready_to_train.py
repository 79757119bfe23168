"""Imported by processes that others are forked from, of which each would import this and work it out anew."""

import torch._inductor.cudagraph_trees  # noqa: F401, which every step asks for

import moai.evaluation.drawn.run
import moai.training.run  # noqa: F401
from moai.data.drawn.questions.absence import _absent_weights

_absent_weights()
