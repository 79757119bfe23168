"""Errors as OpenAI's clients read them: one sentence, in JSON."""

import logging

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

OOPS = "something went wrong here; try once more, or with another picture"
_TYPES = {401: "authentication_error", 404: "not_found_error", 413: "invalid_request_error", 429: "rate_limit_error"}


class ApiError(Exception):
    """An answer with a status other than 200; `code` is a short name for programs."""

    def __init__(self, status: int, message: str, code: str | None = None, retry_after: int | None = None):
        super().__init__(message)
        self.status, self.message, self.code, self.retry_after = status, message, code, retry_after

    def content(self) -> dict:
        """The body of the answer."""
        usual = "invalid_request_error" if self.status < 500 else "server_error"
        kind = _TYPES.get(self.status, usual)
        return {"error": {"message": self.message, "type": kind, "param": None, "code": self.code}}

    def response(self) -> JSONResponse:
        """The whole answer."""
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return JSONResponse(self.content(), self.status, headers)


def told(error: BaseException) -> ApiError:
    """What a client is told about an error; what is not meant for people goes to the log."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, ValueError):
        return ApiError(400, printable(" ".join(str(error).split())))
    logging.getLogger("moai.serving").error("unexpected error", exc_info=error)
    return ApiError(500, OOPS)


def printable(text: str) -> str:
    """Text that any reply can hold: halves of characters become U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def answer_errors(app: FastAPI) -> None:
    """Makes every error of the app's own routes one of these."""

    async def known(request: Request, error: Exception) -> JSONResponse:
        return told(error).response()

    async def plain(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        return ApiError(error.status_code, f"{request.method} {request.url.path}: {error.detail}").response()

    app.add_exception_handler(ApiError, known)
    app.add_exception_handler(ValueError, known)
    app.add_exception_handler(Exception, known)
    app.add_exception_handler(HTTPException, plain)
