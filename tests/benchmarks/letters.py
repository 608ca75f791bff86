"""The letters that are sent: made from a fixed seed, so that every run and every peer sees the same ones.

``t…`` is plain text, ``a…`` text with a random base64 attachment, ``flag…`` carries a card number and an IBAN.
``mix`` follows a common business shape by count: 70 % 5-20 KB, 20 % 50-150 KB, 8 % 1 MB, 2 % 5 MB.
"""

import base64
import random
from pathlib import Path

LETTERS = Path(__file__).parent / "mail"
HEADER = (
    "From: Alice Load <load@sender.example>\nTo: Bob <user@rcpt.example>\nSubject: Load {name}\n"
    "Date: Sun, 22 Nov 2026 12:00:00 +0000\nMIME-Version: 1.0\n"
)
PLAIN = {"t5k": 5_000, "t10k": 10_000, "t20k": 20_000, "t50k": 50_000, "t100k": 100_000, "t150k": 150_000}
ATTACHED = {"a100k": 100_000, "a1m": 1_000_000, "a5m": 5_000_000, "a25m": 25_000_000}
FLAGGED = {"flag10k": 10_000}
FLAGGED_ATTACHED = {"flag5m": 5_000_000}
FLAG = "\nConfidential: salary list. Card 4111 1111 1111 1111, IBAN DE89370400440532013000.\n"
MIX = {
    "t5k": 250,
    "t10k": 250,
    "t20k": 200,
    "t50k": 70,
    "t100k": 60,
    "t150k": 50,
    "a100k": 20,
    "a1m": 80,
    "a5m": 20,
}
SYLLABLES = [consonant + vowel for consonant in "bdklmnrstv" for vowel in "aeiou"]
BUSINESS = [
    "meeting",
    "invoice",
    "report",
    "project",
    "please",
    "regards",
    "attached",
    "quarterly",
    "customer",
    "order",
    "delivery",
    "schedule",
    "budget",
]


class Writer:
    """Writes letters into ``folder``, and beside each a list file for the load generator."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._random = random.Random(7)
        made_up = ["".join(self._random.choices(SYLLABLES, k=self._random.randint(1, 4))) for _ in range(5000)]
        self._words = made_up + BUSINESS * 20

    def write_all(self) -> None:
        """Write every letter and list."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for name, size in PLAIN.items():
            self._plain(name, size)
        for name, size in FLAGGED.items():
            self._plain(name, size, FLAG)
        for name, size in ATTACHED.items():
            self._attached(name, size)
        for name, size in FLAGGED_ATTACHED.items():
            self._attached(name, size, FLAG)
        lines = [f"{weight} {self._folder / name}.eml\n" for name, weight in MIX.items()]
        (self._folder / "mix.list").write_text("".join(lines))

    def _text(self, size: int) -> str:
        lines: list[str] = []
        line, length = "", 0
        while length < size:
            rare_number = self._random.random() < 0.01
            word = str(self._random.randint(1, 10**9)) if rare_number else self._random.choice(self._words)
            if len(line) + len(word) > 72:
                lines.append(line)
                length += len(line) + 2
                line = ""
            line += (" " if line else "") + word
        return "\n".join(lines) + "\n"

    def _plain(self, name: str, size: int, extra: str = "") -> None:
        head = HEADER.format(name=name) + "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 7bit\n\n"
        self._keep(name, head + self._text(size - len(head) - len(extra)) + extra)

    def _attached(self, name: str, size: int, extra: str = "") -> None:
        # What is no picture by its first octets would be sealed as not inspectable.
        picture = b"\x89PNG\r\n\x1a\n" + self._random.randbytes(int((size - 6000) * 57 / 78))
        encoded = base64.encodebytes(picture).decode()
        self._keep(
            name,
            HEADER.format(name=name)
            + 'Content-Type: multipart/mixed; boundary="=_b0undary42"\n\n--=_b0undary42\n'
            + "Content-Type: text/plain; charset=utf-8\n\n"
            + self._text(5000)
            + extra
            + '--=_b0undary42\nContent-Type: image/png; name="photo.png"\nContent-Transfer-Encoding: base64\n'
            + 'Content-Disposition: attachment; filename="photo.png"\n\n'
            + encoded
            + "--=_b0undary42--\n",
        )

    def _keep(self, name: str, content: str) -> None:
        (self._folder / f"{name}.eml").write_text(content)
        (self._folder / f"{name}.list").write_text(f"1 {self._folder / name}.eml\n")
