"""Makes transformers' Auto classes know MoAI as soon as both are imported, in whichever order, and no sooner:
torch and transformers take seconds to import, and `moai --help` should not wait for them."""

import importlib
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder

_LIBRARY = "transformers."
_AUTO = "transformers.models.auto.configuration_auto"
"""What every Auto class imports before it looks for a model's classes."""


def register() -> None:
    """Imports what registers MoAI's classes."""
    for module in ("moai.models.modeling", "moai.models.processing"):
        importlib.import_module(module)


def register_with_transformers() -> None:
    """Registers now where transformers' Auto classes are there, otherwise right after they have been imported."""
    if _AUTO in sys.modules and not _under_way():
        register()
    else:
        sys.meta_path.insert(0, _WhenImported())


def _under_way(but: str = "") -> bool:
    """Whether a module of transformers is being imported, this one apart; it could not be imported from yet."""
    modules = [module for name, module in list(sys.modules.items()) if name.startswith(_LIBRARY) and name != but]
    return any(getattr(getattr(module, "__spec__", None), "_initializing", False) for module in modules)


class _WhenImported(MetaPathFinder):
    """Notices the end of each import from transformers until the Auto classes are there and no other is under way."""

    def find_spec(self, fullname, path=None, target=None):
        spec = PathFinder.find_spec(fullname, path) if fullname.startswith(_LIBRARY) else None
        if spec is None or spec.loader is None:
            return None
        run = spec.loader.exec_module

        def exec_module(module) -> None:
            run(module)
            if _AUTO in sys.modules and self in sys.meta_path and not _under_way(but=fullname):
                sys.meta_path.remove(self)
                # A module of the models that is being imported itself is on its way there.
                if not any(name.startswith("moai.models.") for name in sys.modules):
                    register()

        spec.loader.exec_module = exec_module
        return spec
