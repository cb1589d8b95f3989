"""The ASGI application: what it opens at start, how it tells its health, and how it goes down."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from types import FrameType
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route
from ucservice import logs
from ucservice.bodylimit import BodyLimit
from ucservice.secretfile import Secret
from ucservice.web import PUBLIC_PATHS, RequestLog, TokenAuth

from groupchat_service import api, legacy, metrics, role_file, schemas
from groupchat_service.desk import Busy, Closing, Desk, Unknown
from groupchat_service.providers import Providers, ProviderUnavailable
from groupchat_service.roles import DEFAULT_TEAM
from groupchat_service.roster import Roster
from groupchat_service.settings import Settings
from groupchat_service.store import Store
from groupchat_service.team import Chunk, Message, TeamBuilder, TeamSpec, Turn

MAX_BODY = 1_000_000
_LONGEST_REASON = 1_000
_PROBE_SECONDS, _FORGET_SECONDS, _DAY = 2.0, 3600.0, 86_400.0
_STATUS: dict[type[Exception], int] = {Busy: 409, Unknown: 404, Closing: 503}
_log = logs.get("service")


class Health:
    """Whether the database takes writes and a team can be built; looked up every two seconds at most."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._checked, self._database = 0.0, "not checked"
        self.team = "not checked"

    async def report(self) -> dict[str, str]:
        """One word or reason for each local dependency; `ok` is good."""
        if time.monotonic() - self._checked > _PROBE_SECONDS:
            try:
                await asyncio.wait_for(self._store.ping(), 2)
                self._database = "ok"
            except Exception as error:  # noqa: BLE001  whatever the reason: it is the answer
                self._database = f"{type(error).__name__}: {error}"[:200]
            self._checked = time.monotonic()
        return {"database": self._database, "team": self.team}

    async def try_a_team(self, teams: TeamBuilder) -> None:
        """Run one whole rule-based chat in memory: proves that the framework works as it was installed."""
        team = teams.offline(TeamSpec(agents=DEFAULT_TEAM, max_rounds=16))

        async def ignore(_item: Turn | Chunk) -> None: ...

        try:
            async with asyncio.timeout(10):
                reason = await team.run([Message(source="user", content="self-test")], ignore)
            self.team = "ok" if reason == "decided" else f"the self-test ended with {reason}"
        except Exception as error:  # noqa: BLE001  as above
            self.team = f"{type(error).__name__}: {error}"[:200]


TeamMaker = Callable[[Providers, Settings, Roster], TeamBuilder]


def create_app(settings: Settings, teams_of: TeamMaker | None = None) -> RequestLog:
    """The whole application, with authentication and the request log around it; teams are AutoGen's unless given."""
    providers = Providers(settings)
    store = Store(settings.data)
    declared = role_file.load(settings.agents)
    teams = (teams_of or autogen)(providers, settings, declared)
    roster = declared.tried(teams.refusal)
    desk = Desk(store, teams, max_running=settings.max_running, chat_timeout=settings.chat_timeout)
    health = Health(store)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await store.open()
        await health.try_a_team(teams)
        drain = _drain_on_signal(desk)
        resumed = await desk.resume()
        forgetting = asyncio.create_task(_forget_old(store, settings.keep_days))
        _log.info("started", team=health.team, resumed=resumed, roles=list(roster.declared))
        for name, reason in roster.failed.items():
            _log.warning("role_refused", role=name, reason=reason)
        yield
        forgetting.cancel()
        await drain()
        await store.close()

    # The pages that FastAPI would add load their scripts from the net; the document itself is at /openapi.json.
    app = FastAPI(title="autogen-groupchat", version="1", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.desk, app.state.providers, app.state.roster = desk, providers, roster
    if settings.legacy:
        app.include_router(legacy.router)  # the first route of a path answers
    app.include_router(api.router)
    app.include_router(api.sockets)
    for error, status in _STATUS.items():
        app.add_exception_handler(error, _refusal(status))
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(405, _not_allowed)
    _add_probes(app, desk, health, providers, roster, legacy_keys=settings.legacy)
    if roster.declared:
        _describe(app, roster)
    public = PUBLIC_PATHS | legacy.PUBLIC_PATHS if settings.legacy else PUBLIC_PATHS
    guarded = TokenAuth(BodyLimit(app, limit=MAX_BODY), secret=Secret("autogen_token"), public=public)
    return RequestLog(guarded, observer=metrics.HTTP)


def autogen(providers: Providers, settings: Settings, roster: Roster) -> TeamBuilder:
    """AutoGen's teams; the framework is imported only here, and so not at all where another one is given."""
    from groupchat_service.autogen_team import AutoGenTeams

    return AutoGenTeams(providers, roster, model_timeout=settings.model_timeout)


def _describe(app: FastAPI, roster: Roster) -> None:
    """Put the declared roles into the OpenAPI document, which lists the agents that a request may name."""
    agents = app.openapi()["components"]["schemas"]["ChatRequest"]["properties"]["agents"]
    agents.update(schemas.member_names(roster.members, roster.workers), default=list(roster.default))


def _add_probes(
    app: FastAPI, desk: Desk, health: Health, providers: Providers, roster: Roster, *, legacy_keys: bool
) -> None:
    probe: schemas.Responses = {status: {"model": schemas.Probe} for status in (200, 503)}

    @app.get("/health", responses=probe)
    async def show_health() -> Response:
        checks = await health.report()
        inventory = roster.inventory("" if health.team == "ok" else health.team)
        reasons = [f"{name}: {state}" for name, state in checks.items() if state != "ok"]
        reasons += [f"{entry['kind']} {entry['name']}: {entry['reason']}" for entry in inventory if entry["reason"]]
        healthy = not reasons
        body: dict[str, Any] = {
            "status": "healthy" if healthy else "unhealthy",
            "checks": checks,
            "inventory": inventory,
        }
        if reasons:
            body["reason"] = "; ".join(reasons)[:_LONGEST_REASON]
        if legacy_keys:
            body |= await legacy.health_keys(desk)
        return JSONResponse(body, 200 if healthy else 503)

    @app.get("/ready", responses=probe)
    async def show_ready() -> Response:
        checks: dict[str, Any] = await health.report()
        try:
            checks["model"] = str(providers.choose())
        except ProviderUnavailable as error:
            return JSONResponse({"status": "not ready", "checks": checks, "detail": str(error)}, 503)
        ready = checks["database"] == checks["team"] == "ok" and not desk.closing.is_set()
        return JSONResponse({"status": "ready" if ready else "not ready", "checks": checks}, 200 if ready else 503)

    @app.get("/metrics", response_class=PlainTextResponse)
    async def show_metrics(request: Request) -> Response:
        body, content_type = metrics.exposition(request.headers.get("accept", ""))
        return Response(body, media_type=content_type)


def _refusal(status: int) -> Callable[[Request, Exception], Response]:
    def refuse(_request: Request, error: Exception) -> Response:
        return JSONResponse({"detail": str(error)}, status)

    return refuse


def _invalid(_request: Request, error: Exception) -> Response:
    """What is wrong and where, without the input: it may be long, and it may be no text that can be sent back."""
    problems = error.errors() if isinstance(error, RequestValidationError) else []
    return JSONResponse({"detail": [{key: one[key] for key in ("loc", "msg", "type")} for one in problems]}, 422)


def _not_allowed(request: Request, _error: Exception) -> Response:
    """All methods of the path: the router names those of its first route there."""
    routes = [route for route in (*request.app.routes, *api.router.routes) if isinstance(route, Route)]
    matching = [route for route in routes if route.path_regex.match(request.url.path)]
    allowed = ", ".join(sorted({method for route in matching for method in route.methods or ()}))
    return JSONResponse({"detail": f"Method Not Allowed; allowed: {allowed}"}, 405, {"Allow": allowed})


def _drain_on_signal(desk: Desk) -> Callable[[], asyncio.Task[None]]:
    """Begin to drain at SIGTERM itself: the server runs the shutdown hook only after the open requests have ended."""
    loop = asyncio.get_running_loop()
    started: list[asyncio.Task[None]] = []

    def begin() -> asyncio.Task[None]:
        if not started:
            started.append(loop.create_task(desk.drain()))
        return started[0]

    def wrap(server_handler: object) -> Callable[[int, FrameType | None], None]:
        def handle(number: int, frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(begin)
            if callable(server_handler):
                server_handler(number, frame)

        return handle

    with suppress(ValueError):  # signals belong to the main thread; elsewhere the shutdown hook alone drains
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, wrap(signal.getsignal(number)))
    return begin


async def _forget_old(store: Store, keep_days: float) -> None:
    while True:
        forgotten = await store.forget(time.time() - keep_days * _DAY)
        if forgotten:
            _log.info("sessions_forgotten", count=forgotten)
        await asyncio.sleep(_FORGET_SECONDS)
