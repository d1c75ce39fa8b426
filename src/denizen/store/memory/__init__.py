"""The store in memory: for tests and for the simulator. Nothing of it outlives its process.

It behaves as a disk would: what was acknowledged is past its flush, and `power_cut` goes back to
the last flush that ended.
"""

from denizen.store.memory.driver import MemoryStore
from denizen.store.memory.faults import Faults

__all__ = ["Faults", "MemoryStore"]
