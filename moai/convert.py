"""The released checkpoint's layout -> ours: `moai.convert.from_reference(state_dict, sizes)`."""

from moai.models.convert import from_reference
from moai.models.released.checkpoint import convert_folder

__all__ = ["convert_folder", "from_reference"]
