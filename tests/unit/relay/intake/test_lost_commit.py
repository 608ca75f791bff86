"""The connection to PostgreSQL is lost inside COMMIT: nobody can know what became of it, and nobody gets a second copy."""

import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import make_url

from relay.errors import StoreError
from relay.store.tables.queue import Kind
from tests.letters import ANNA, letter
from tests.unit.relay.intake.house import House

pytestmark = pytest.mark.postgresql

SOCKET = ".s.PGSQL.5432"
COMMIT = b"Q\0\0\0\x0bCOMMIT\0"  # 12 octets
# CommandComplete ("COMMIT") and ReadyForQuery follow, 12 and 6 octets.
CUTS = (0, 6, 11, 12, 13, 23, 24, 29, 30)  # where a message of the protocol begins or ends, and inside each


class Wire:
    """Stands between a relay and its server; ends the connection at one octet of a COMMIT and its answer."""

    def __init__(self, server: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="letterlock-wire-"))  # the path of a socket is short
        self.octets: int | None = None  # of the next COMMIT and its answer that pass before the end
        self._server = f"{server}/{SOCKET}"
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(self.folder / SOCKET))
        self._door.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        shutil.rmtree(self.folder)

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._door.accept()
                threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server:
            server.connect(self._server)
            rest: list[int] = []  # octets of the answer that still pass
            back = threading.Thread(target=self._answer, args=(client, server, rest), daemon=True)
            back.start()
            while octets := _received(client):
                if octets == COMMIT and self.octets is not None:
                    passing, self.octets = self.octets, None
                    if passing > len(COMMIT):
                        rest.append(passing - len(COMMIT))
                    server.sendall(COMMIT[:passing])
                    if not rest:
                        break
                else:
                    server.sendall(octets)
            _end(client, server)
            back.join(10)

    @staticmethod
    def _answer(client: socket.socket, server: socket.socket, rest: list[int]) -> None:
        with suppress(OSError):
            while octets := _received(server):
                client.sendall(octets[: rest[0]] if rest else octets)
                if rest:
                    break
        _end(client, server)


def _received(one: socket.socket) -> bytes:
    try:
        return one.recv(1 << 16)
    except OSError:
        return b""


def _end(*sockets: socket.socket) -> None:
    for one in sockets:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def wire(postgresql_url: str) -> Iterator[Wire]:
    """A wire to the server of this test."""
    one = Wire(str(make_url(postgresql_url).query["host"]))
    yield one
    one.close()


@pytest.fixture
def house(tmp_path: Path, postgresql_url: str, wire: Wire) -> Iterator[House]:
    """A relay process that reaches its database over the wire."""
    url = make_url(postgresql_url).update_query_dict({"host": str(wire.folder)})
    one = House(tmp_path, url.render_as_string(hide_password=False))
    yield one
    one.close()


def test_a_commit_that_is_cut_anywhere(house: House, wire: Wire) -> None:
    """451 or 250: who heard 451 sends again and hears 250, at once, and each reader has one notice in the end."""
    heard_no = written_all_the_same = 0
    for octets in CUTS:
        reader = f"reader-{octets}@example.net"
        content = letter(to=[reader], text="about your asthma\n", message_id=f"<{octets}@desk.example.org>")
        wire.octets = octets
        try:
            assert house.take(ANNA, [reader], content).code == 250
        except StoreError:
            heard_no += 1
            written_all_the_same += reader in _noticed(house)
            assert house.take(ANNA, [reader], content).code == 250
        assert wire.octets is None, "nothing was cut"
        assert _noticed(house).count(reader) == 1
    assert 0 < written_all_the_same < heard_no


def _noticed(house: House) -> list[str]:
    return [one.recipient for one in house.posted(Kind.NOTICE)]
