"""What the YAML files beside this one name; lmms-eval imports it by its path."""

from moai.evaluation.lmms.drawn import DrawnMMBench, DrawnMME, DrawnPope, DrawnTextVQA

__all__ = ["DrawnMMBench", "DrawnMME", "DrawnPope", "DrawnTextVQA"]
