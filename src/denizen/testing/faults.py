"""The dangers of a simulated world: a swarm drawn from its seed, and the nemesis that brings them.

Which dangers exist at all is drawn first, so that each meets the others in many mixtures and is sometimes
alone. Every attempt is noted as `fault.…`: a world in which nothing was attempted proves nothing.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from denizen.testing.dice import Dice
from denizen.testing.loop import NodeDied

if TYPE_CHECKING:
    from denizen.testing.world import World

DANGERS = (
    "slow_disk",
    "slow_network",
    "store_unknown",
    "store_unavailable",
    "store_conflict",
    "cut",
    "pause_client",
    "pause_server",
    "crash",
    "crash_at_commit",
    "restart",
    "usurp",
)
_DOWN_S = (0.05, 1.5)
_PAUSE_S = (0.05, 2.0)
_USURPED_S = (0.7, 2.0)
_CRASH_AT_COMMIT = 0.02


class Nemesis:
    """Brings a world's dangers until `stop`."""

    def __init__(self, world: "World", dice: Dice) -> None:
        self.dangers = frozenset(dice.some(DANGERS))
        self._world = world
        self._dice = dice
        self._every_s = dice.seconds((0.2, 1.0))
        self._is_over = False

    def start(self) -> None:
        """Worsen the conditions, and begin."""
        world, dice = self._world, self._dice
        if "slow_disk" in self.dangers:
            world.trace.note("fault.slow_disk")
            slowest_s = dice.seconds((0.01, 0.3))
            world.store.faults.flush_s = (0.0005, slowest_s)
            world.store.faults.read_s = (0.0, slowest_s)
        if "slow_network" in self.dangers:
            world.trace.note("fault.slow_network")
            world.network.weather.delay_s = (0.0002, dice.seconds((0.01, 0.2)))
        for danger, most in (("unknown", 0.2), ("unavailable", 0.05), ("conflict", 0.3)):
            if f"store_{danger}" in self.dangers:
                setattr(world.store.faults, danger, dice.seconds((0.01, most)))
        for danger in sorted(self.dangers & _BRINGERS.keys()):
            world.node.start(self._bring(_BRINGERS[danger]))

    def stop(self) -> None:
        """Heal: nothing new goes wrong from now on."""
        self._is_over = True
        faults = self._world.store.faults
        faults.unknown = faults.unavailable = faults.conflict = 0.0
        faults.flush_s, faults.read_s = (0.0005, 0.002), (0.0, 0.0)
        self._world.network.weather.delay_s = (0.0002, 0.001)

    def at_commit(self, place: str) -> None:
        """A commit's flush is about to begin, or has just ended (a failpoint)."""
        if self._is_over or "crash_at_commit" not in self.dangers:
            return
        life = self._world.life
        if life is not None and life.node.is_running() and self._dice.throws(_CRASH_AT_COMMIT):
            self._world.trace.note("fault.crash_at_commit", place)
            self._world.crash()
            self._world.node.start(self._boot_again())
            raise NodeDied

    async def _bring(self, danger: "Bringer") -> None:
        while True:
            await asyncio.sleep(self._dice.seconds((0.0, 2 * self._every_s)))
            if self._is_over:
                return
            await danger(self)

    # Dangers.

    async def _cut(self) -> None:
        links = self._world.network.links
        if links:
            self._world.trace.note("fault.cut")
            self._dice.pick(links).cut()

    async def _pause_client(self) -> None:
        node = self._dice.pick(self._world.clients).node
        self._world.trace.note("fault.pause_client", node.name)
        node.pause()
        await asyncio.sleep(self._dice.seconds(_PAUSE_S))
        node.resume()

    async def _pause_server(self) -> None:
        life = self._world.life
        if life is not None and not life.node.is_paused:
            self._world.trace.note("fault.pause_server", life.node.name)
            life.node.pause()
            await asyncio.sleep(self._dice.seconds(_PAUSE_S))
            life.node.resume()

    async def _crash(self) -> None:
        if self._world.life is not None:
            self._world.trace.note("fault.crash")
            self._world.crash()
            await self._boot_again()

    async def _boot_again(self) -> None:
        await asyncio.sleep(self._dice.seconds(_DOWN_S))
        self._world.boot()

    async def _restart(self) -> None:
        if self._world.life is not None and not self._world.life.node.is_paused:
            self._world.trace.note("fault.restart")
            await self._world.stop_life()
            await self._boot_again()

    async def _usurp(self) -> None:
        """A second life takes over while the first, which knows nothing of it, is only paused."""
        world = self._world
        old = world.life
        if old is None or old.node.is_paused:
            return
        world.trace.note("fault.usurp", old.node.name)
        old.node.pause()
        old.usurp()
        world.abandon()
        world.boot()
        await asyncio.sleep(self._dice.seconds(_USURPED_S))
        old.node.resume()
        await asyncio.sleep(self._dice.seconds(_PAUSE_S))
        old.kill()


Bringer = Callable[[Nemesis], Coroutine[Any, Any, None]]
_BRINGERS: dict[str, Bringer] = {
    "cut": Nemesis._cut,
    "pause_client": Nemesis._pause_client,
    "pause_server": Nemesis._pause_server,
    "crash": Nemesis._crash,
    "restart": Nemesis._restart,
    "usurp": Nemesis._usurp,
}
