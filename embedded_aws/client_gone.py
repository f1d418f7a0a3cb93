"""Detect that the client whose request a thread answers is gone.

A receiver that was killed while it polled must not get a message: it hides the message for a whole
visibility timeout.
"""

from __future__ import annotations

import select
import socket
import threading
from typing import Any

from cheroot.wsgi import Gateway_10

_answering = threading.local()


class Gateway(Gateway_10):
    """cheroot's gateway, which notes the connection that its thread answers."""

    def respond(self) -> Any:
        """Answer one request."""
        _answering.connection = self.req.conn.socket
        try:
            return super().respond()
        finally:
            _answering.connection = None


def is_gone() -> bool:
    """Return whether the client of this thread's request has closed its connection."""
    connection: socket.socket | None = getattr(_answering, "connection", None)
    if connection is None:
        return False
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    if not poll.poll(0):
        return False
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except OSError:
        return True
