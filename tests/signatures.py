"""DKIM as a receiver sees it: dkimpy, and a DNS that holds what was published."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import dkim

_LINE = re.compile(r"(\S+\.) IN TXT \( (.*) \)")


@dataclass
class Receiver:
    """Verifies mail with the lines of zone files that were published."""

    records: dict[str, str] = field(default_factory=dict)

    @classmethod
    def knowing(cls, zone_lines: Iterable[str]) -> "Receiver":
        """A receiver whose DNS answers with these lines."""
        receiver = cls()
        for line in zone_lines:
            match = _LINE.fullmatch(line.strip())
            assert match, line
            strings = re.findall(r'"([^"]*)"', match[2])
            assert all(len(string) <= 255 for string in strings)
            receiver.records[match[1]] = "".join(strings)
        return receiver

    def verified(self, content: bytes) -> list[str]:
        """Return ``selector.domain algorithm`` of every signature that is good; fail for one that is not."""
        found = []
        for index in range(self.signatures(content)):
            mail = dkim.DKIM(content)
            assert mail.verify(index, self._lookup), f"signature {index} is not good:\n{content[:2000]!r}"
            tags = mail.signature_fields
            found.append(f"{tags[b's'].decode()}.{tags[b'd'].decode()} {tags[b'a'].decode()}")
        return found

    def accepts(self, content: bytes) -> bool:
        """Whether there is a signature and every one is good."""
        number = self.signatures(content)
        return number > 0 and all(self._good(content, index) for index in range(number))

    def _good(self, content: bytes, index: int) -> bool:
        try:
            return bool(dkim.DKIM(content).verify(index, self._lookup))
        except dkim.ValidationError:  # the hash of the body is another
            return False

    @staticmethod
    def signatures(content: bytes) -> int:
        """How many signatures a mail carries."""
        header = content.partition(b"\r\n\r\n")[0]
        return len(re.findall(rb"^DKIM-Signature:", header, re.IGNORECASE | re.MULTILINE))

    def _lookup(self, name: bytes, **_: object) -> str | None:
        return self.records.get(name.decode())
