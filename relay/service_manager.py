"""What the service manager is told: ready, reading its configuration again, stopping (sd_notify(3)).

systemd names a socket in NOTIFY_SOCKET and takes one datagram for each message. Started by hand there is no such
socket, and nothing happens.
"""

import os
import socket
import time
from contextlib import suppress


def ready(status: str) -> None:
    """Say that every service answers, or answers again after a reload; ``status`` is one line for ``systemctl``."""
    _send("READY=1", f"STATUS={status}")


def reloading() -> None:
    """Say that the configuration is being read again; `ready` ends it."""
    _send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")


def stopping() -> None:
    """Say that what is under way is being finished."""
    _send("STOPPING=1", "STATUS=finishing what is under way")


def _send(*lines: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    # A leading @ names a socket in the abstract namespace. Nobody who serves mail stops for want of a listener.
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        channel.sendto("\n".join(lines).encode(), "\0" + address[1:] if address.startswith("@") else address)
