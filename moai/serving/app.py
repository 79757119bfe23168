"""The application: OpenAI's routes for chat, and what operators ask for."""

from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI, Request
from fastapi.responses import PlainTextResponse, Response

from moai.serving.errors import ApiError, answer_errors, told
from moai.serving.keys import checker
from moai.serving.replies import Json, model_card
from moai.serving.schema import ChatRequest
from moai.serving.service import Service
from moai.serving.settings import Settings
from moai.web.engine import Engine

_DOCUMENTED = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ChatRequest"}}},
    }
}


def create_app(engine: Engine, settings: Settings | None = None) -> FastAPI:
    """The application that answers with the assistant of `engine`, which may still be loading.

    `app.state.service` is what answers; any server of ASGI runs it.
    """
    settings = Settings() if settings is None else settings
    service = Service(engine, settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI):
        yield
        service.close()

    app = FastAPI(
        title="MoAI",
        summary="Ask about pictures, as one asks OpenAI's API.",
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.state.service = service
    answer_errors(app)
    known = [Depends(checker(settings.keys))]

    @app.post(
        "/v1/chat/completions",
        dependencies=known,
        openapi_extra=_DOCUMENTED,
    )
    async def chat(request: Request) -> Response:
        """Goes on with a conversation about a picture, or about none; `stream` sends the words as they come."""
        try:
            response = await service.chat(request)
        except Exception as error:
            response = told(error).response()
        service.metrics.requests.labels(str(response.status_code)).inc()
        return response

    @app.get("/v1/models", dependencies=known)
    async def models() -> Response:
        """The model that answers."""
        cards = [model_card(service.model, service.created)] if service.model else []
        return Json({"object": "list", "data": cards})

    @app.get("/v1/models/{name:path}", dependencies=known)
    async def model(name: str) -> Response:
        """What is known of one model."""
        if not service.model or name != service.model:
            raise ApiError(404, f"there is no model {name!r} here; ask {service.model}", "model_not_found")
        return Json(model_card(name, service.created))

    @app.get("/health")
    async def health() -> Response:
        """200 when questions are answered; 503 while the model loads, when it could not be loaded, and at the end."""
        if service.admission.ending:
            return Json({"status": "ending"}, 503)
        if engine.problem is not None:
            return Json({"status": "failed", "problem": engine.problem}, 503)
        if not engine.ready:
            return Json({"status": "loading", "stage": engine.stage, "share": engine.share}, 503)
        return Json({"status": "ready", "model": service.model})

    @app.get("/metrics")
    async def metrics() -> Response:
        """Counts for Prometheus."""
        return PlainTextResponse(service.metrics.text())

    @app.api_route("/v1/{rest:path}", methods=["GET", "POST", "PUT", "DELETE", "PATCH"], include_in_schema=False)
    async def nothing(request: Request) -> Response:
        raise ApiError(404, f"there is no {request.url.path} here; see /docs", "not_found")

    _documented(app)
    return app


def _documented(app: FastAPI) -> None:
    """The body, which the service reads itself to bound it, joins what FastAPI knows of the routes."""
    written = app.openapi

    def openapi() -> dict:
        if app.openapi_schema is None:
            schemas = ChatRequest.model_json_schema(ref_template="#/components/schemas/{model}")
            parts = written().setdefault("components", {}).setdefault("schemas", {})
            parts.update(schemas.pop("$defs", {}), ChatRequest=schemas)
        return written()

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI tells to
