"""Files of a model hub, and one sentence for what keeps them away."""

import os
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import HfApi, constants
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    RepositoryNotFoundError,
)

SMALL_FILES = ("*.json", "*.jinja", "*.txt", "*.model")
"""Patterns of what a model's folder holds beside its weights."""


class HubError(ValueError):
    """Something on a hub cannot be had now; what was fetched so far is kept."""


def hub() -> HfApi:
    """The hub that HF_ENDPOINT names, huggingface.co without it."""
    return HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None)


def cache_folder() -> Path:
    """Where models are kept that were made of others: MOAI_HOME, else `moai` in the user's cache."""
    home = os.environ.get("MOAI_HOME")
    return Path(home or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "moai")).expanduser()


@contextmanager
def reaching(name: str):
    """Turns what keeps the files of the hub's `name` away into HubError with one sentence."""
    place = hub().endpoint
    try:
        yield
    except HFValidationError as error:
        raise HubError(f"{name!r} is no folder here and cannot be the id of a model, which is OWNER/NAME") from error
    except GatedRepoError as error:
        raise HubError(
            f"{name} is gated: accept its terms at {place}/{name}, then log in with `hf auth login` or set HF_TOKEN"
        ) from error
    except RepositoryNotFoundError as error:
        raise HubError(
            f"there is no folder {name!r} here and no such model at {place}; a private one needs `hf auth login` or "
            "HF_TOKEN"
        ) from error
    except HfHubHTTPError as error:
        told = getattr(error.response, "status_code", None)
        raise HubError(f"{place} refuses {name} with status {told}; try again later") from error
    except (EntryNotFoundError, ConnectionError) as error:
        raise HubError(_unreachable(place)) from error
    except Exception as error:
        # Of the HTTP client, which is another one in each generation of huggingface_hub.
        if not type(error).__module__.startswith(("httpx", "httpcore", "requests", "urllib3")):
            raise
        raise HubError(_unreachable(place)) from error


def _unreachable(place: str) -> str:
    why = "HF_HUB_OFFLINE forbids to ask one" if constants.is_offline_mode() else f"{place} does not answer"
    return f"it must be a folder that holds one, or the id of one on a hub that can be reached, and {why}"
