"""Deliver what is due: at least once, in order per file, with backoff, until accepted or given up."""

from __future__ import annotations

import asyncio
import logging
import random
import sqlite3
import ssl
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import certifi
import httpx
from ucservice import logs
from ucservice.secretfile import Secret

from monitor_service import metrics
from monitor_service.outbox import Delivery, Outbox, Result
from monitor_service.settings import Settings
from monitor_service.triggers import Ruleset, Target

_log = logs.get(__name__)
logging.getLogger("httpx").setLevel(logging.WARNING)  # each delivery has a line of its own
_AT_ONCE = 8
_BATCH = 128
_BODY_CAP = 16 * 1024
_IDLE_SECONDS = 5.0
_STALE_SECONDS = 0.25  # then a delivery of higher priority may have come due
_SHUTDOWN_SECONDS = 1.8
# Answers that no later attempt changes; 401, 403, 404 and 409 may heal (a rotation, a deployment), so they are retried.
_HOPELESS = frozenset({300, 301, 302, 303, 307, 308, 400, 405, 410, 411, 413, 414, 415, 422, 501})


class Dispatcher:
    """The delivery loop; lives in the server's event loop, touches SQLite only from threads."""

    def __init__(self, outbox: Outbox, rules: Callable[[], Ruleset], settings: Settings) -> None:
        self._outbox, self._rules, self._settings = outbox, rules, settings
        self._flying: dict[tuple[int, str], asyncio.Task[None]] = {}
        self._ready: deque[Delivery] = deque()
        self._secrets: dict[str, Secret] = {}
        self._wake = asyncio.Event()
        self._stale_at = 0.0
        self._stopping = False
        self._loop = asyncio.get_running_loop()
        trust = ssl.create_default_context(cafile=settings.ca_file or certifi.where())
        # No proxy from the environment: the targets are peers, and the engine may inject the machine's proxy settings.
        self._client = httpx.AsyncClient(trust_env=False, verify=trust, limits=httpx.Limits(max_connections=_AT_ONCE))

    def nudge(self) -> None:
        """There may be something new to deliver; callable from any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake.set)

    async def run(self) -> None:
        """Deliver until stop()."""
        while not self._stopping:
            self._wake.clear()
            try:
                if not self._ready or time.monotonic() > self._stale_at:
                    await self._fill()
                self._launch()
                if len(self._flying) >= _AT_ONCE or not self._ready:
                    await self._pause()
            except sqlite3.Error as error:
                _log.error("store_failed", doing="reading the outbox", error=str(error))
                await asyncio.sleep(1)

    async def _fill(self) -> None:
        """Fetch what is due; a file has at most one delivery per trigger in hand, so the order is kept."""
        self._stale_at = time.monotonic() + _STALE_SECONDS
        flying = set(self._flying)  # one that lands while the outbox is read was pending for the reader
        found = await asyncio.to_thread(self._outbox.due, _BATCH + len(flying))
        self._ready = deque(delivery for delivery in found if delivery.key not in flying)

    def _launch(self) -> None:
        while self._ready and len(self._flying) < _AT_ONCE and not self._stopping:
            delivery = self._ready.popleft()
            task = asyncio.create_task(self._deliver(delivery))
            self._flying[delivery.key] = task
            task.add_done_callback(partial(self._landed, delivery.key))

    async def stop(self) -> None:
        """Take nothing new, let what is under way finish, give up what takes too long (it is delivered again)."""
        self._stopping = True
        self._wake.set()
        if self._flying:
            _, late = await asyncio.wait(list(self._flying.values()), timeout=_SHUTDOWN_SECONDS)
            for task in late:
                task.cancel()
            if late:
                _log.warning("deliveries_interrupted", count=len(late))
        await self._client.aclose()

    def _landed(self, key: tuple[int, str], _task: asyncio.Task[None]) -> None:
        self._flying.pop(key, None)
        self._wake.set()

    async def _pause(self) -> None:
        """Until something lands, something new is recorded, or the next delivery comes due."""
        wait = None if self._ready else await asyncio.to_thread(self._outbox.next_due)
        timeout = _IDLE_SECONDS if wait is None else min(max(wait, 0.005), _IDLE_SECONDS)
        try:
            await asyncio.wait_for(self._wake.wait(), timeout)
        except TimeoutError:
            return

    async def _deliver(self, delivery: Delivery) -> None:
        token = logs.request_id.set(delivery.event_id)
        try:
            result = await self._outcome(delivery)
            await asyncio.to_thread(self._outbox.settle, delivery, result)
            self._report(delivery, result)
        except sqlite3.Error as error:  # the outcome is not kept: it will be delivered again, with the same key
            _log.error("store_failed", doing="settling a delivery", trigger=delivery.trigger, error=str(error))
            await asyncio.sleep(1)
        finally:
            logs.request_id.reset(token)

    async def _outcome(self, delivery: Delivery) -> Result:
        target = self._rules().targets.get(delivery.target)
        if target is None:
            return Result(status="dead", error=f"target {delivery.target!r} is no longer in the triggers file")
        try:
            result = await self._attempt(delivery, target)
        except Exception as bug:  # noqa: BLE001 - unsettled it would be due again at once; its text may quote the key
            result = Result(status="pending", error=type(bug).__name__)
        return self._judge(delivery, target, result)

    async def _attempt(self, delivery: Delivery, target: Target) -> Result:
        headers = {
            "content-type": "application/json",
            "idempotency-key": f"{delivery.event_id}:{delivery.trigger}",
            "x-request-id": delivery.event_id,
        }
        if target.auth != "none":
            value = self._secret(target.secret)
            if value is None:
                reason = f"secret {target.secret} is missing, empty or not printable ASCII"
                return Result(status="pending", error=reason)
            headers |= {"x-api-key": value} if target.auth == "x-api-key" else {"authorization": f"Bearer {value}"}
        try:
            async with asyncio.timeout(target.timeout):
                return await self._post(target, delivery, headers)
        except TimeoutError:
            return Result(status="pending", error=f"no answer within {target.timeout:g} s")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return Result(status="pending", error=f"{type(error).__name__}: {error}")

    async def _post(self, target: Target, delivery: Delivery, headers: dict[str, str]) -> Result:
        url, body = target.url + delivery.url_path, delivery.body.encode()
        async with self._client.stream("POST", url, content=body, headers=headers, timeout=None) as response:
            content = b""
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) >= _BODY_CAP:
                    break
        answer: dict[str, Any] = {
            "http_status": response.status_code,
            "response": content[:_BODY_CAP].decode("utf-8", "replace"),
        }
        if response.is_success:
            return Result(status="delivered", **answer)
        error = f"HTTP {response.status_code}"
        if response.status_code in _HOPELESS:
            return Result(status="dead", error=f"{error}: no later attempt can succeed", **answer)
        return Result(status="pending", wait=_retry_after(response.headers.get("retry-after")), error=error, **answer)

    def _judge(self, delivery: Delivery, target: Target, result: Result) -> Result:
        """A failed attempt is tried again after a growing, slightly random wait, until there were enough of them."""
        if result.status != "pending":
            return result
        made = delivery.attempts + 1
        if made >= target.max_attempts:
            return replace(result, status="dead", error=f"{result.error} (given up after {made} attempts)")
        backoff = self._settings.retry_base_seconds * 2 ** min(delivery.attempts, 30)
        wait = max(backoff * random.uniform(0.8, 1.2), result.wait)  # noqa: S311 - spreads the retries, no secret
        return replace(result, wait=min(wait, self._settings.retry_cap_seconds))

    def _report(self, delivery: Delivery, result: Result) -> None:
        outcome = "retried" if result.status == "pending" else result.status
        metrics.DELIVERIES.labels(delivery.trigger, outcome).inc()
        details = {"trigger": delivery.trigger, "attempt": delivery.attempts + 1, "status": result.http_status}
        if result.status == "delivered":
            metrics.LATENCY.observe(max(0.0, time.time() - delivery.noticed))
            _log.info("delivered", **details)
        elif result.status == "dead":
            _log.error("dead_letter", error=result.error, **details)
        else:
            _log.warning("delivery_failed", error=result.error, next_in_seconds=round(result.wait, 2), **details)

    def _secret(self, name: str) -> str | None:
        secret = self._secrets.setdefault(name, Secret(name))
        try:
            return secret.current()
        except OSError:
            return None


def _retry_after(text: str | None) -> float:
    return float(text) if text and text.isascii() and text.isdigit() else 0.0
