"""Whether somebody answers at a front door, asked as a client asks."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator

import pytest
import trustme

from relay import answering
from relay.answering import FrontDoors, answers
from relay.config.model import Listener


@pytest.fixture
def door() -> Iterator[socket.socket]:
    """A socket that listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def listener(door: socket.socket, **more: object) -> Listener:
    return Listener.model_validate({"address": f"127.0.0.1:{door.getsockname()[1]}", **more})


@pytest.fixture
def greeter(door: socket.socket) -> Iterator[Callable[[bytes, ssl.SSLContext | None], None]]:
    """Let somebody say a first word to the next client."""
    threads: list[threading.Thread] = []

    def say(word: bytes, tls: ssl.SSLContext | None = None) -> None:
        def serve() -> None:
            client, _ = door.accept()
            with client if tls is None else tls.wrap_socket(client, server_side=True) as spoken:
                spoken.sendall(word)

        threads.append(threading.Thread(target=serve))
        threads[-1].start()

    yield say
    for thread in threads:
        thread.join(10)


@pytest.mark.parametrize("word", [b"220 mx.example.org ESMTP\r\n", b"421 4.3.2 too many connections\r\n"])
def test_any_word_is_an_answer(door: socket.socket, greeter: Callable[..., None], word: bytes) -> None:
    """A relay that is too busy for us is there all the same."""
    greeter(word)
    assert answers(listener(door))


def test_tls_from_the_first_octet(door: socket.socket, greeter: Callable[..., None]) -> None:
    """Behind implicit TLS the greeting is asked for inside, whatever the certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("mx.example.org").configure_cert(context)
    greeter(b"220 hello\r\n", context)
    assert answers(listener(door, tls="implicit"))


def test_silence_is_no_answer(door: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port where the kernel takes connections for a process that is stopped is silent; a closed one too."""
    monkeypatch.setattr(answering, "PATIENCE", 0.05)
    assert not answers(listener(door))
    door.close()
    assert not answers(Listener.model_validate({"address": "127.0.0.1:9"}))


def test_behind_a_proxy_a_connection_is_enough(door: socket.socket) -> None:
    """A door that waits for the name of a client says nothing before."""
    assert answers(listener(door, proxy_protocol_from=["127.0.0.0/8"]))


def test_asking_often_knocks_seldom(door: socket.socket, greeter: Callable[..., None]) -> None:
    """However often a monitor asks, there is one connection a second."""
    now = [100.0]
    doors = FrontDoors({"submission": listener(door)}, now=lambda: now[0])
    greeter(b"220 hello\r\n")
    assert doors.silent() == ()
    door.close()
    now[0] += 0.5
    assert doors.silent() == ()
    now[0] += 0.5
    assert doors.silent() == ("submission",)
