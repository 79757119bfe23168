"""The released checkpoint's layout -> ours: `moai.convert.from_reference(state_dict, sizes)`."""

from moai.models.checkpoint import convert_folder
from moai.models.convert import from_reference

__all__ = ["convert_folder", "from_reference"]
