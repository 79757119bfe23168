"""Makes transformers' Auto classes know MoAI as soon as both are imported, in whichever order, and no sooner:
torch and transformers take seconds to import, and `moai --help` should not wait for them."""

import importlib.util
import sys
from importlib.abc import MetaPathFinder

_AUTO = "transformers.models.auto.configuration_auto"
"""What every Auto class imports before it looks for a model's classes."""


def register() -> None:
    """Imports what registers MoAI's classes."""
    for module in ("moai.models.modeling", "moai.models.processing"):
        importlib.import_module(module)


def register_with_transformers() -> None:
    """Registers now where transformers' Auto classes are there, otherwise right after they have been imported."""
    if _AUTO in sys.modules:
        register()
    else:
        sys.meta_path.insert(0, _WhenImported())


class _WhenImported(MetaPathFinder):
    def find_spec(self, fullname, path=None, target=None):
        if fullname != _AUTO:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        run = spec.loader.exec_module

        def exec_module(module) -> None:
            run(module)
            # A module of the models that is being imported itself is on its way there.
            if not any(name.startswith("moai.models.") for name in sys.modules):
                register()

        spec.loader.exec_module = exec_module
        return spec
