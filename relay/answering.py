"""Does anybody answer at the front doors? Asked as a client would: connect, and wait for the greeting (R50)."""

import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from ipaddress import ip_address

from relay.clock import monotonic
from relay.config.model import Listener

PATIENCE = 2.0  # seconds for a greeting; a relay that is busy for longer is no comfort
ASK_EVERY = 1.0  # seconds, however often a monitor asks


class FrontDoors:
    """The listeners of an installation, seen from outside. Thread-safe."""

    def __init__(self, listeners: Mapping[str, Listener], now: Callable[[], float] = monotonic) -> None:
        self._listeners = listeners
        self._now = now
        self._lock = threading.Lock()
        self._asked_at = -ASK_EVERY
        self._silent: tuple[str, ...] = ()

    def silent(self) -> tuple[str, ...]:
        """Return the names of the listeners where nobody answers, as of this second. Blocking."""
        with self._lock:
            if self._now() - self._asked_at >= ASK_EVERY:
                self._silent = tuple(name for name, one in self._listeners.items() if not answers(one))
                self._asked_at = self._now()
            return self._silent


def answers(listener: Listener) -> bool:
    """Tell whether a client hears anything at all there, be it "come back later". Blocking, some seconds at most."""
    try:
        with ExitStack() as opened:
            host, port = listener.address.host, listener.address.port
            client = opened.enter_context(socket.create_connection((host, port), PATIENCE))
            if _awaits_a_proxy(listener, client):
                return True  # it says nothing until it knows for whom
            if listener.tls == "implicit":
                client = opened.enter_context(_anybody().wrap_socket(client))
            return bool(client.recv(1))
    except OSError:  # ssl.SSLError and the time-out are among them
        return False


def _awaits_a_proxy(listener: Listener, client: socket.socket) -> bool:
    ours = ip_address(client.getsockname()[0])
    return any(ours in network for network in listener.proxy_protocol_from)


def _anybody() -> ssl.SSLContext:
    """Return a context that takes any certificate: it is our own door, and nothing is told to it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
