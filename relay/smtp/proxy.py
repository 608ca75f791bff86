"""The PROXY header (versions 1 and 2 of HAProxy's proxy-protocol.txt): who is really there, said by a proxy of ours.

aiosmtpd parses it. The header is read octet for octet, because what follows it may be a TLS handshake.
"""

import asyncio
import ipaddress
import logging
import socket
from dataclasses import dataclass
from typing import Protocol

from aiosmtpd.proxy_protocol import AF, PROTO, V2_CMD, get_proxy

from relay.smtp.access import client_address
from relay.smtp.inbox import ConnectionEnded, Inbox

_LONGEST_LINE = 107  # octets of version 1 with its CRLF
_LONGEST_REST = 4096  # octets of version 2 behind its 16; whoever sends more keeps us busy
_IP = (AF.INET, AF.INET6)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who has connected: canonical address and port.

    ``named`` is false where a proxy does not say for whom; ``stranger`` is true where it was counted in as one.
    """

    ip: str
    port: int
    named: bool = True
    stranger: bool = False


class BadProxyHeader(Exception):  # noqa: N818  # the client's error, an expected event
    """A connection that had to begin with a PROXY header does not."""


class Octets(Protocol):
    """Where a header is read from."""

    async def some(self, most: int) -> bytes:
        """Return between one and ``most`` octets; raises ConnectionEnded when nothing more will come."""


class SocketOctets:
    """The octets of a connected socket, before any protocol is attached to it."""

    def __init__(self, connected: socket.socket) -> None:
        self._connected = connected

    async def some(self, most: int) -> bytes:
        """Return between one and ``most`` octets; raises ConnectionEnded when nothing more will come."""
        octets = await asyncio.get_running_loop().sock_recv(self._connected, most)
        if not octets:
            raise ConnectionEnded
        return octets


async def read_client(octets: Octets | Inbox) -> tuple[str, int] | None:
    """Read one header and nothing behind it; return the client's canonical address and port.

    None where the proxy speaks for itself (LOCAL) or does not know (UNKNOWN): whoever it is must not be trusted for
    the proxy's address. Raises BadProxyHeader, or ConnectionEnded.
    """
    said = await get_proxy(_Reader(octets))
    if not said.valid:
        raise BadProxyHeader
    if (said.version == 2 and said.command == V2_CMD.LOCAL) or said.protocol == PROTO.UNSPEC:  # noqa: PLR2004
        return None
    if said.protocol != PROTO.STREAM or said.family not in _IP or not isinstance(said.src_port, int):
        raise BadProxyHeader
    address = said.src_addr
    if not isinstance(address, ipaddress.IPv4Address | ipaddress.IPv6Address):
        raise BadProxyHeader
    return client_address((str(address), said.src_port))


class _Reader:
    """What aiosmtpd reads a header through: bounded, and never beyond its end."""

    def __init__(self, octets: Octets | Inbox) -> None:
        self._octets = octets
        self._left = 16 + _LONGEST_REST

    async def read(self, n: int = 1) -> bytes:
        if n > self._left:
            raise BadProxyHeader
        octets = await self._octets.some(n)
        self._left -= len(octets)
        return octets

    async def readexactly(self, n: int = 1) -> bytes:
        found = b""
        while len(found) < n:
            found += await self.read(n - len(found))
        return found

    async def readuntil(self, separator: bytes = b"\n") -> bytes:
        line = b""
        while not line.endswith(separator):
            if len(line) >= _LONGEST_LINE:
                raise BadProxyHeader
            line += await self.read(1)
        return line


def silence_parser() -> None:
    """Stop aiosmtpd's parser from logging what strangers send."""
    logging.getLogger("mail.debug").disabled = True
