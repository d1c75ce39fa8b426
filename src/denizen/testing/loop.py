"""Many event loops in one virtual time: the machine that a simulated world runs on.

Theory. Each process of the world (a server's life, a client) is a `Node`: an asyncio loop of its own, so
that it can be paused or killed as a process is, with whatever it was doing. All nodes share one
`Scheduler`, which runs one callback at a time. There is no selector, no thread and no waiting.

- L1 Time stands still while anything can run; then it jumps to the next timer.
- L2 Callbacks run in the order in which they became ready, timers by their time and then by age: so
  whatever is random in a world is drawn from its seed, never found in a heap.
- L3 A killed node runs nothing any more: no handler, no `finally`, no finalizer before the world's end.
- L4 A paused node runs nothing until it is resumed, then all that came meanwhile, in order.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context
from typing import Any, NoReturn, TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

EPOCH_S = 1_800_000_000.0
STEPS_MAX = 5_000_000


class Stuck(Exception):
    """The world can't go on, or goes on for ever; the message says what waits."""


class NodeDied(BaseException):
    """Raised by whoever kills the node that is running, to unwind what it is in."""


class Scheduler:
    """Virtual time and what is to run in it. It is also the world's `clock.Source`."""

    def __init__(self) -> None:
        self.steps = 0
        self.unhandled: list[str] = []
        """What the loops met and nobody handled."""
        self._now = 0.0
        self._ready: deque[tuple[Node, asyncio.Handle]] = deque()
        self._timers: list[tuple[float, int, Node, asyncio.TimerHandle]] = []
        self._timer_count = 0
        self._nodes: list[Node] = []

    def monotonic(self) -> float:
        """Virtual seconds since the world began (`clock.Source`)."""
        return self._now

    def now(self) -> float:
        """Virtual wall time (`clock.Source`)."""
        return EPOCH_S + self._now

    def make_node(self, name: str) -> "Node":
        """A new process of the world."""
        node = Node(self, name)
        self._nodes.append(node)
        return node

    def run_until(self, is_done: Callable[[], bool], timeout_s: float) -> None:
        """Run until `is_done()`. Raises `Stuck` after `timeout_s` virtual seconds, or with nothing to run."""
        ends_at = self._now + timeout_s
        while not is_done():
            if not self._ready:
                self._advance(ends_at, timeout_s)
            self._run_ready()
            if self.unhandled:
                raise Stuck("A loop met what nobody handled:\n" + "\n".join(self.unhandled))
            if self.steps > STEPS_MAX:
                raise Stuck(f"The world runs for ever ({self.steps} steps).{self._waiting()}")

    def close(self) -> None:
        """End all nodes, and what they left unfinished: the world is over, so nobody is touched by it."""
        for node in self._nodes:
            node.kill()
        self._ready.clear()
        self._timers.clear()
        for node in self._nodes:
            for task in asyncio.all_tasks(node):
                code = task.get_coro()
                with suppress(BaseException):
                    if code is not None:
                        code.close()
            node.buried.clear()
            node.close()

    # For nodes.

    def add_ready(self, node: "Node", handle: asyncio.Handle) -> None:
        self._ready.append((node, handle))

    def add_timer(self, node: "Node", timer: asyncio.TimerHandle) -> None:
        self._timer_count += 1
        heapq.heappush(self._timers, (timer.when(), self._timer_count, node, timer))

    # Running.

    def _advance(self, ends_at: float, timeout_s: float) -> None:
        """Jump to the next timer (L1) and make ready what is due."""
        timers = self._timers
        while timers and timers[0][3].cancelled():
            heapq.heappop(timers)
        if not timers:
            raise Stuck(f"Nothing can run and no timer is set.{self._waiting()}")
        if timers[0][0] > ends_at:
            raise Stuck(f"Not done after {timeout_s:g} virtual seconds.{self._waiting()}")
        self._now = max(self._now, timers[0][0])
        while timers and timers[0][0] <= self._now:
            _, _, node, timer = heapq.heappop(timers)
            self._ready.append((node, timer))

    def _run_ready(self) -> None:
        """Run what is ready now; what becomes ready by it waits for the next round."""
        for _ in range(len(self._ready)):
            node, handle = self._ready.popleft()
            if handle.cancelled():
                continue
            if node.is_dead or node.is_paused:
                node.keep(handle)
                continue
            self.steps += 1
            asyncio._set_running_loop(node)
            try:
                handle._run()
            finally:
                asyncio._set_running_loop(None)

    def _waiting(self) -> str:
        lines = [
            f"\n  {node.name}{' (paused)' if node.is_paused else ''}: {task!r}"
            for node in self._nodes
            if not node.is_dead
            for task in sorted(asyncio.all_tasks(node), key=repr)
        ]
        return " What waits:" + ("".join(lines) or " nothing.")


class Node(asyncio.BaseEventLoop):
    """One process of the world, as the event loop that its code sees."""

    def __init__(self, scheduler: Scheduler, name: str) -> None:
        super().__init__()
        self.name = name
        self.is_dead = False
        self.is_paused = False
        self.buried: list[asyncio.Handle] = []
        """What a dead node would have run. Kept, so that nothing is finalized while the world runs (L3)."""
        self._scheduler = scheduler
        self._held: list[asyncio.Handle] = []

    def start(self, code: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Run a coroutine in this process."""
        return asyncio.Task(code, loop=self)

    def kill(self) -> None:
        """End the process, as SIGKILL does (L3)."""
        self.is_dead = True
        self.buried += self._held
        self._held.clear()

    def pause(self) -> None:
        """Stop the process, as SIGSTOP does (L4)."""
        self.is_paused = True

    def resume(self) -> None:
        """Let it go on."""
        self.is_paused = False
        held, self._held = self._held, []
        for handle in held:
            self._scheduler.add_ready(self, handle)

    def keep(self, handle: asyncio.Handle) -> None:
        """What can't run now is held, or buried."""
        (self.buried if self.is_dead else self._held).append(handle)

    # What asyncio asks of a loop.

    def time(self) -> float:
        return self._scheduler.monotonic()

    def is_running(self) -> bool:
        return asyncio._get_running_loop() is self

    def call_soon(
        self,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        if self.is_dead:
            self.buried.append(handle)
        else:
            self._scheduler.add_ready(self, handle)
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        if self.is_dead:
            self.buried.append(timer)
        else:
            self._scheduler.add_timer(self, timer)
        return timer

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self.is_dead:
            error = context.get("exception")
            told = f"  {self.name}: {context.get('message')} {error!r} {context.get('task') or ''}"
            self._scheduler.unhandled.append(told)

    def call_soon_threadsafe(
        self,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> NoReturn:
        raise RuntimeError("There are no threads in a simulated world.")

    def run_in_executor(
        self, executor: Any, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> NoReturn:
        raise RuntimeError("There are no threads in a simulated world: they can't be seeded.")
