"""The desk alone, in this process: what only an exact order of two calls brings about."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from groupchat_service.desk import Desk
from groupchat_service.store import Store
from groupchat_service.streams import follow
from groupchat_service.team import Emit, Message, Team, TeamSpec, Turn


class _Silent:
    """A team in which nobody ever speaks."""

    model = "silent"

    async def run(self, history: Sequence[Message], emit: Emit) -> str:
        """Wait to be cancelled."""
        await asyncio.Event().wait()
        return ""

    async def ask(self, agent: str, content: str) -> Turn:
        """Not asked here."""
        raise NotImplementedError

    async def close(self) -> None:
        """Nothing to give back."""


class _Teams:
    async def __call__(self, spec: TeamSpec) -> Team:
        return _Silent()

    def offline(self, spec: TeamSpec) -> Team:
        return _Silent()

    def refusal(self, name: str) -> str:
        return ""


@pytest.mark.parametrize("ticks", range(9))
def test_a_second_cancel_leaves_no_stream_open(tmp_path: Path, ticks: int) -> None:
    """However soon a second cancel follows the first, who follows the chat sees its end."""
    assert asyncio.run(_cancelled_twice(tmp_path, ticks)) == "cancelled"


async def _cancelled_twice(folder: Path, ticks: int) -> str:
    store = Store(folder)
    await store.open()
    desk = Desk(store, _Teams(), max_running=1, chat_timeout=60)
    await desk.open("task", TeamSpec(agents=("analyst",), max_rounds=4), "chat")
    kinds: list[str] = []

    async def read() -> None:
        async for event in follow(desk, "chat", after=0, forever=False):
            kinds.append(getattr(event, "kind", "chunk"))

    follower = asyncio.create_task(read())
    while not kinds:
        await asyncio.sleep(0.01)
    cancels = [asyncio.create_task(desk.cancel("chat"))]
    for _ in range(ticks):
        await asyncio.sleep(0)
    cancels.append(asyncio.create_task(desk.cancel("chat")))
    await asyncio.wait_for(follower, 30)
    await asyncio.gather(*cancels, return_exceptions=True)
    await store.close()
    return kinds[-1]
