"""The released checkpoint's layout -> ours: `moai.convert.from_reference(state_dict, sizes)`."""

from moai.models.released.checkpoint import convert_folder
from moai.models.released.convert import from_reference

__all__ = ["convert_folder", "from_reference"]
