import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from relay import daemon
from relay.config.values import Endpoint
from relay.daemon import refusal


def test_an_address_of_another_machine_is_refused_before_the_start() -> None:
    """Whoever mistypes an address reads why, instead of processes that die again and again."""
    assert refusal(Endpoint(host="::2", port=2525))


def test_a_port_that_relays_share_is_not_refused() -> None:
    """What relay processes hold with SO_REUSEPORT can be held once more; nothing is taken by the question."""
    with socket.socket() as relay:
        relay.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        relay.bind(("127.0.0.1", 0))
        relay.listen()
        assert not refusal(Endpoint(host="127.0.0.1", port=relay.getsockname()[1]))


def test_processes_are_told_to_stop_while_the_name_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """They stop under the name; and who keeps it may wait long for a database that does not answer."""
    story: list[str] = []

    class Name:
        def __init__(self, *_: object) -> None: ...

        @contextmanager
        def kept(self) -> Iterator[None]:
            os.kill(os.getpid(), signal.SIGTERM)
            yield
            story.append("let go")

        def close(self) -> None: ...

    nursery = SimpleNamespace(
        start=lambda _key: None,
        signal=lambda _key, number: story.append(signal.Signals(number).name),
        ended=lambda _seconds=0: [(("relay", 0), 0)] if story else [],
    )
    configuration = SimpleNamespace(
        storage=SimpleNamespace(database=""),
        gateway=SimpleNamespace(process_name=lambda *_: "supervisor"),
        listen={},
        portal=SimpleNamespace(listen=Endpoint(host="127.0.0.1", port=1)),
        demo=None,
    )
    monkeypatch.setattr(daemon, "Slot", Name)
    several = cast("Any", (nursery, None, configuration, [daemon._Child(("relay", 0))]))
    assert daemon._Supervisor(*several).run(lambda _text: None) == 0
    assert story == ["SIGTERM", "let go"]


def test_pauses_grow_from_a_second_and_begin_anew_after_a_minute_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    """One death is made good at once; a process that dies again and again is started every half minute."""
    now = 1000.0
    monkeypatch.setattr(daemon, "monotonic", lambda: now)
    child = daemon._Child(("relay", 0), started_at=now)
    pauses = []
    for _ in range(7):
        child.schedule()
        pauses.append(child.start_at - now)
    now += daemon.SETTLED_AFTER
    child.schedule()
    assert pauses == [1, 2, 4, 8, 16, 30, 30]
    assert (child.start_at - now, child.ends) == (1, 1)
