"""Actors that serve HTTP of their own, and actors whose first line uses somebody's library."""

import asyncio
import contextvars
from typing import Any

import aiohttp
import anyio
import httpx
import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route

from denizen import Actor, UserError, action


class VisitState(msgspec.Struct):
    visits: int = 0
    body: bytes = b""


async def visit(request: Request) -> JSONResponse:
    actor = request.scope["actor"]
    actor.state.visits += 1
    actor.broadcast("visited", actor.state.visits)
    return JSONResponse(
        {
            "visits": actor.state.visits,
            "key": list(actor.key),
            "path": request.url.path,
            "root": request.scope["root_path"],
            "query": dict(request.query_params),
            "header": request.headers.get("x-test"),
        },
        headers={"x-own": "1"},
    )


async def store(request: Request) -> PlainTextResponse:
    actor = request.scope["actor"]
    async for chunk in request.stream():
        actor.state.body += chunk
    return PlainTextResponse(str(len(actor.state.body)), 201)


async def stream(request: Request) -> StreamingResponse:
    actor = request.scope["actor"]

    async def pieces() -> Any:
        try:
            yield b"first;"
            await actor.client.get("latch").wait("stream")
            actor.state.visits += 100
            yield b"second;"
        except asyncio.CancelledError:
            actor.state.visits += 7
            raise

    return StreamingResponse(pieces())


async def fail(request: Request) -> PlainTextResponse:
    request.scope["actor"].state.visits += 1
    raise ZeroDivisionError("secret of the app")


async def refuse(request: Request) -> PlainTextResponse:
    raise UserError("no entrance", code="no_entrance")


async def half(request: Request) -> StreamingResponse:
    async def pieces() -> Any:
        yield b"half"
        raise ZeroDivisionError("secret of the app")

    return StreamingResponse(pieces())


async def end(request: Request) -> PlainTextResponse:
    request.scope["actor"].destroy()
    return PlainTextResponse("ended")


class Web(Actor[VisitState]):
    asgi = Starlette(
        routes=[
            Route("/", visit),
            Route("/deep/{rest:path}", visit),
            Route("/store", store, methods=["POST"]),
            Route("/stream", stream),
            Route("/fail", fail),
            Route("/refuse", refuse),
            Route("/half", half),
            Route("/end", end),
        ]
    )

    @action
    def read(self) -> list[int]:
        return [self.state.visits, len(self.state.body)]


word: contextvars.ContextVar[str] = contextvars.ContextVar("word", default="unset")


class DoneState(msgspec.Struct):
    done: list[str] = []


class Guest(Actor[DoneState]):
    """Each action begins with a library; each changes state before and after."""

    @action
    async def timeout(self) -> str:
        async with asyncio.timeout(0.01):
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                self.state.done.append("cancelled")
                raise
        return "not reached"

    @action
    async def catch_timeout(self) -> list[str]:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.sleep(30)
        except TimeoutError:
            self.state.done.append("timed out")
        return self.state.done

    @action
    async def group(self) -> list[str]:
        async with asyncio.TaskGroup() as group:
            for name in "abc":
                group.create_task(self._append(name))
        return self.state.done

    @action(exclusive=True)
    async def group_alone(self, fails: bool) -> list[str]:
        async with asyncio.TaskGroup() as group:
            for name in "abc":
                group.create_task(self._append(name))
        await asyncio.gather(self._append("d"), self._append("e"))
        if fails:
            raise UserError("undone")
        return self.state.done

    @action
    async def gathered(self) -> list[str]:
        await asyncio.gather(*(self._append(name) for name in "xyz"))
        return self.state.done

    @action
    async def waited(self) -> list[str]:
        await asyncio.wait_for(self._append("w"), 5)
        return self.state.done

    @action
    async def shielded(self) -> list[str]:
        await asyncio.shield(self._append("s"))
        return self.state.done

    @action
    async def in_thread(self) -> int:
        return await asyncio.to_thread(sum, [1, 2, 3])

    @action
    async def anyio_group(self) -> list[str]:
        async with anyio.create_task_group() as group:
            for name in "abc":
                group.start_soon(self._append, name)
        return self.state.done

    @action
    async def anyio_sleep(self) -> str:
        await anyio.sleep(0.001)
        with anyio.move_on_after(0.01):
            await anyio.sleep(30)
        try:
            with anyio.fail_after(0.01):
                await anyio.sleep(30)
        except TimeoutError:
            return "failed after"
        return "not reached"

    @action
    async def with_httpx(self, url: str) -> Any:
        async with httpx.AsyncClient() as client:
            self.state.done.append("asked")
            answer = await client.post(url)
        return answer.json()

    @action
    async def with_aiohttp(self, url: str) -> Any:
        async with aiohttp.ClientSession() as session, session.post(url) as answer:
            self.state.done.append("asked")
            return await answer.json()

    @action
    async def with_streams(self, port: int) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        self.state.done.append("asked")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer.split(b"\r\n")[0].decode()

    @action
    async def current_task(self) -> bool:
        task = asyncio.current_task()
        await asyncio.sleep(0)
        return task is not None and task is asyncio.current_task()

    @action
    async def context(self, value: str, door: str) -> list[str]:
        before = word.get()
        word.set(value)
        await self.client.get("latch").wait(door)
        return [before, word.get(), await asyncio.create_task(self._word())]

    @action
    def read(self) -> list[str]:
        return self.state.done

    async def _word(self) -> str:
        return word.get()

    async def _append(self, name: str) -> None:
        await asyncio.sleep(0)
        self.state.done.append(name)


WEB: list[type[Actor[Any]]] = [Guest, Web]
