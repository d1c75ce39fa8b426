"""Signals of the supervisor. Nothing here decides what they mean."""

import signal
import socket
from types import TracebackType
from typing import Self


class Signals:
    """Signals as bytes on a descriptor, so that one `select` waits for everything."""

    NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)

    def __init__(self) -> None:
        self._receiving, self._sending = socket.socketpair()
        self._receiving.setblocking(False)
        self._sending.setblocking(False)
        self.descriptor = self._receiving.fileno()

    def __enter__(self) -> Self:
        for number in self.NUMBERS:
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(self._sending.fileno())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.forget()

    def take(self) -> bytes:
        """The numbers of the signals that came."""
        try:
            return self._receiving.recv(4_096)
        except BlockingIOError:
            return b""

    def forget(self) -> None:
        """Let signals do again what they do by default."""
        signal.set_wakeup_fd(-1)
        for number in self.NUMBERS:
            signal.signal(number, signal.SIG_DFL)
        self._receiving.close()
        self._sending.close()
