"""What systemd is told."""

import socket
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from relay import service_manager


@pytest.mark.parametrize("abstract", [False, True])
def test_the_service_manager_hears_it(monkeypatch: pytest.MonkeyPatch, *, abstract: bool) -> None:
    """Ready, reloading and stopping arrive as datagrams at the socket that NOTIFY_SOCKET names."""
    # Not in a folder of pytest's: a path of a socket has at most 107 octets.
    with (
        TemporaryDirectory(prefix="notify-", dir="/tmp") as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
    ):
        path = f"{folder}/notify"
        manager.bind("\0" + path if abstract else path)
        manager.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + path if abstract else path)
        service_manager.reloading()
        service_manager.ready("serving Example Council")
        service_manager.stopping()
        first, second, third = (manager.recv(1000).decode().split("\n") for _ in range(3))
    assert first[0] == "RELOADING=1"
    assert first[1].startswith("MONOTONIC_USEC=")
    assert second == ["READY=1", "STATUS=serving Example Council"]
    assert third[0] == "STOPPING=1"


def test_nobody_has_to_listen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a socket, or with one that is gone, nothing happens."""
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    service_manager.ready("")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    service_manager.stopping()
