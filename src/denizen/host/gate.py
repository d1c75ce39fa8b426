"""The output gate: what may leave when. A machine without I/O.

What turns changed gathers in *sections*; each section becomes one commit, and what is to leave after
its changes waits in it. At most one section flies (is on its way to the store).

- G1 An output never leaves before every change that came before it is durable.
- G2 Outputs leave in the order in which they came.
- G3 One section flies at a time, and sections fly in order.
- G4 Turns that end meanwhile share the next section, unless it would grow over `commit_bytes_max`; a turn is
  never split over two.
"""

from denizen.wire.runtime import Output


class Section:
    """Changes that commit together, and the outputs that wait for them."""

    __slots__ = ("changes", "outputs", "size_bytes", "state_bytes")

    def __init__(self) -> None:
        self.changes: dict[str, bytes | None] = {}
        self.outputs: list[Output] = []
        self.size_bytes = 0
        self.state_bytes: int | None = None
        """The whole state's size after these changes; None if nothing changed."""


class Gate:
    """One actor's gate."""

    __slots__ = ("_bytes_max", "_flying", "_waiting")

    def __init__(self, commit_bytes_max: int) -> None:
        self._bytes_max = commit_bytes_max
        self._flying: Section | None = None
        self._waiting: list[Section] | None = None

    @property
    def wants_commit(self) -> bool:
        """Whether a section waits that may fly now."""
        return self._waiting is not None and self._flying is None

    @property
    def is_open(self) -> bool:
        """Whether an output would leave at once."""
        return self._waiting is None and self._flying is None

    def add(
        self, changes: dict[str, bytes | None], outputs: list[Output], state_bytes: int = 0
    ) -> list[Output]:
        """A turn ended: the outputs that may leave now."""
        if changes:
            section = self._section_for(changes)
            section.state_bytes = state_bytes
            section.outputs += outputs
            return []
        if self._waiting is not None:
            self._waiting[-1].outputs += outputs
            return []
        if self._flying is not None:
            self._flying.outputs += outputs
            return []
        return outputs

    def demand(self) -> None:
        """Ask for a commit although nothing changed: a start that must be made known."""
        if self._waiting is None:
            self._waiting = [Section()]

    def finish(self, outputs: list[Output]) -> None:
        """Let all that waits fly as one last section, these outputs behind the rest.

        For the end of an actor, whose changes no longer matter: a section may be as large as it is.
        """
        last = Section()
        for section in self._waiting or ():
            last.changes.update(section.changes)
            last.outputs += section.outputs
        last.outputs += outputs
        self._waiting = [last]

    def take(self) -> Section | None:
        """The next section, which flies from now on; None if none may."""
        waiting = self._waiting
        if waiting is None or self._flying is not None:
            return None
        section = self._flying = waiting.pop(0)
        if not waiting:
            self._waiting = None
        return section

    def landed(self) -> list[Output]:
        """The flying section is durable: its outputs leave."""
        section, self._flying = self._flying, None
        assert section is not None
        return section.outputs

    def _section_for(self, changes: dict[str, bytes | None]) -> Section:
        size = 0
        for name, data in changes.items():
            size += len(name) if data is None else len(name) + len(data)
        waiting = self._waiting
        if waiting is None:
            waiting = self._waiting = [Section()]
        elif waiting[-1].size_bytes + size > self._bytes_max and waiting[-1].changes:
            waiting.append(Section())
        section = waiting[-1]
        section.changes |= changes
        section.size_bytes += size
        return section
