"""Readers in a drill: they answer in the portal, and press again when the page did not come."""

import re
from dataclasses import dataclass, field

import httpx2

from tests.drill.clients import send
from tests.drill.letters import Kind, Letter
from tests.drill.sink import Copy, Sink
from tests.letters import ANNA, NHS_NUMBER, letter
from tests.reader import Reader
from tests.stories.links import LINK

EACH = 15  # answers of one reader: the portal takes twenty in an hour
_MARK = re.compile(r"answer [\w ]+ of reader\d+")


@dataclass
class Answers:
    """What readers have written, one answer after the other; ``given`` are the marks of those that the page took."""

    sink: Sink
    given: list[str] = field(default_factory=list)
    _people: list[Reader] = field(default_factory=list)
    _typed: str = ""

    def invite(self, port: int) -> None:
        """Let somebody new get a sealed letter and enter with the code; relay (at ``port``) and portal must run."""
        address = f"reader{len(self._people)}@example.net"
        content = letter(to=[address], subject=address, text=f"NHS number {NHS_NUMBER}\n")
        send(port, Letter(address, Kind.SEALED, (address,), content))
        link = LINK.search(self._mail_to(address, 1).text)
        assert link
        person = Reader(link[0])
        person.ask_for_code()
        page = person.enter(Reader.code_in(self._mail_to(address, 2).text))
        assert NHS_NUMBER in page
        self._people.append(person)

    def give(self) -> bool:
        """Press *Send*, a second time for an answer whose page did not come; False when the portal is gone again."""
        person = self._people[-1]
        self._typed = self._typed or f"answer {len(self.given)} of reader{len(self._people) - 1}"
        try:
            page = person.answer(self._typed)
        except httpx2.TransportError:
            return False
        assert self._typed in page, page
        self.given.append(self._typed)
        self._typed = ""
        return True

    def check(self) -> None:
        """Find every answer that was given in its receiver's mail, each of them one mail (AssertionError)."""
        mail = [copy for copy in self.sink.copies if copy.recipient == ANNA and _MARK.search(copy.text)]
        found = {(match[0], copy.message_id) for copy in mail if (match := _MARK.search(copy.text))}
        assert sorted(mark for mark, _ in found) == sorted(self.given)

    def end(self) -> None:
        """Close the readers' browsers."""
        for person in self._people:
            person.client.close()

    def _mail_to(self, address: str, count: int) -> Copy:
        self.sink.until(
            lambda copies: sum(copy.recipient == address for copy in copies) >= count, f"{count} mails to {address}"
        )
        return [copy for copy in self.sink.copies if copy.recipient == address][count - 1]
