"""A little DNS server on loopback, UDP and TCP, that answers from a zone file and can refuse, fail or say nothing."""

import contextlib
import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

_PLAIN = 512  # octets of an answer over UDP without EDNS (RFC 1035 section 4.2.1)


@dataclass
class NameServer:
    """What it knows: lines of a zone file with absolute names. ``failing`` names get SERVFAIL."""

    port: int
    records: dict[tuple[dns.name.Name, dns.rdatatype.RdataType], dns.rrset.RRset] = field(default_factory=dict)
    failing: set[dns.name.Name] = field(default_factory=set)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def publish(self, *lines: str) -> None:
        """Add records, each ``name. IN TYPE data``, exactly as `letterlock check --dns` prints them."""
        for line in lines:
            name, _, kind, data = line.split(" ", 3)
            found = dns.rrset.from_text(name, 60, "IN", kind, data.strip("() ") if kind == "TXT" else data)
            known = self.records.setdefault((found.name, found.rdtype), found)
            for data in found:
                known.add(data)

    def withdraw(self, name: str, kind: str) -> None:
        """Take all records of one type under a name away."""
        del self.records[dns.name.from_text(name), dns.rdatatype.from_text(kind)]

    def answer(self, octets: bytes, limit: int) -> bytes:
        query = dns.message.from_wire(octets)
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.RA
        question = query.question[0]
        found = self.records.get((question.name, question.rdtype))
        alias = self.records.get((question.name, dns.rdatatype.CNAME))
        if question.name in self.failing:
            reply.set_rcode(dns.rcode.SERVFAIL)
        elif found is not None:
            reply.answer.append(found)
        elif alias is not None:
            reply.answer.append(alias)
            target = self.records.get((next(iter(alias)).target, question.rdtype))
            reply.answer += [target] if target else []
        elif all(name != question.name for name, _ in self.records):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        wire = reply.to_wire(max_size=65535)
        if len(wire) > limit:
            reply.answer.clear()
            reply.flags |= dns.flags.TC
            wire = reply.to_wire()
        return wire


@contextlib.contextmanager
def name_server() -> Iterator[NameServer]:
    """Serve until the end of the block."""

    class OverUdp(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            octets, sock = self.request
            sock.sendto(known.answer(octets, _PLAIN), self.client_address)

    class OverTcp(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            (length,) = struct.unpack(">H", self.rfile.read(2))
            wire = known.answer(self.rfile.read(length), 65535)
            self.wfile.write(struct.pack(">H", len(wire)) + wire)

    with contextlib.ExitStack() as stack:
        udp, tcp = _both(stack, OverUdp, OverTcp)
        known = NameServer(udp.server_address[1])
        threads = [threading.Thread(target=server.serve_forever, args=(0.01,)) for server in (udp, tcp)]
        for thread in threads:
            thread.start()
        try:
            yield known
        finally:
            for server in (udp, tcp):
                server.shutdown()
            for thread in threads:
                thread.join()


def _both(
    stack: contextlib.ExitStack,
    over_udp: type[socketserver.BaseRequestHandler],
    over_tcp: type[socketserver.BaseRequestHandler],
) -> tuple[socketserver.UDPServer, socketserver.TCPServer]:
    """Both servers at one port: what is free for one may be taken for the other, so several are tried."""
    for _ in range(50):
        udp = socketserver.ThreadingUDPServer(("127.0.0.1", 0), over_udp)
        try:
            tcp = socketserver.ThreadingTCPServer(udp.server_address, over_tcp)
        except OSError:
            udp.server_close()
            continue
        return stack.enter_context(udp), stack.enter_context(tcp)
    raise AssertionError("no port is free for both UDP and TCP")


def silent_port() -> tuple[socket.socket, int]:
    """A socket that takes questions and never answers."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listening.bind(("127.0.0.1", 0))
    return listening, listening.getsockname()[1]
