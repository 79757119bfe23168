"""Bearer keys."""

import hmac
from collections.abc import Callable, Sequence

from fastapi import Request

from moai.serving.errors import ApiError


def allows(keys: Sequence[str], given: str) -> bool:
    """Whether `given` is one of the keys; takes as long for every wrong one."""
    same = [hmac.compare_digest(key.encode(), given.encode(errors="surrogatepass")) for key in keys]
    return any(same)


def checker(keys: Sequence[str]) -> Callable:
    """A dependency of FastAPI: raises ApiError for a request without one of the keys, where there are any."""

    async def check(request: Request) -> None:
        if not keys:
            return
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not allows(keys, given.strip()):
            raise ApiError(401, "this server needs a key: Authorization: Bearer KEY", "invalid_api_key")

    return check
