"""Mail clients of a drill: each sends one letter after the other, and each letter until it has heard the 250."""

import re
import smtplib
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from tests.drill.letters import Letter, letters

_QUEUED = re.compile(rb"queued as ([a-z2-7]{26})")
_PACE = 0.002  # seconds between letters, so that clients do not starve the gateway of the processor


@dataclass(frozen=True)
class Accepted:
    """A letter that got its 250, with the queue id that was in it. ``unheard`` counts the times without an answer."""

    letter: Letter
    queue_id: str
    unheard: int


class Clients:
    """Some threads that send to the gateways at these ports, and try the next one where one does not answer."""

    def __init__(self, ports: Sequence[int], *, threads: int = 3, name: str = "") -> None:
        self.accepted: list[Accepted] = []
        self.refused: list[str] = []
        self._ports = ports
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._send, args=(f"{name}{number}",), daemon=True) for number in range(threads)
        ]

    def start(self) -> None:
        """Begin to send."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> list[Accepted]:
        """Return what was accepted once each client has got its last letter through; a gateway must run."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), "a client cannot get its letter through"
        assert not self.refused
        return self.accepted

    def _send(self, name: str) -> None:
        for turn, letter in enumerate(letters(name)):
            self._get_through(letter, turn)
            if self._stopping.wait(_PACE):
                return

    def _get_through(self, letter: Letter, turn: int) -> None:
        unheard = 0
        while True:
            port = self._ports[(turn + unheard) % len(self._ports)]
            try:
                queue_id = send(port, letter)
            except smtplib.SMTPResponseException as error:
                # 451 and 421 are said by a gateway that stops or cannot: the letter is still the client's.
                if error.smtp_code // 100 == 5:
                    self.refused.append(f"{letter.mark}: {error.smtp_code} {error.smtp_error!r}")
                    return
            except (OSError, smtplib.SMTPException):
                self._stopping.wait(0.005)  # it was killed and is not back yet
            else:
                self.accepted.append(Accepted(letter, queue_id, unheard))
                return
            unheard += 1


def send(port: int, letter: Letter) -> str:
    """Hand a letter to a gateway and return the queue id that it says; OSError or SMTPException when it does not."""
    with smtplib.SMTP("127.0.0.1", port, local_hostname="desk.example.org", timeout=20) as client:
        client.ehlo()
        _must(250, *client.mail(letter.sender))
        for recipient in letter.recipients:
            _must(250, *client.rcpt(recipient))
        text = _must(250, *client.data(letter.content))
    found = _QUEUED.search(text)
    assert found, text
    return found[1].decode()


def _must(wanted: int, code: int, text: bytes) -> bytes:
    if code != wanted:
        raise smtplib.SMTPResponseException(code, text)
    return text
