"""Text of RTF, hidden text included: a library drops what is hidden, a recipient needs one click to see it."""

import re

from relay.message.charsets import decode_short
from relay.message.extraction.budget import UnreadableError
from relay.message.extraction.findings import Findings

_TOKEN = re.compile(
    rb"\\([a-z]{1,32})(-?\d{1,10})? ?|\\'([0-9a-f]{2})|\\([^a-z'])|([{}])|([^\\{}\r\n]+)|[\r\n]",
    re.IGNORECASE | re.DOTALL,
)
_BINARY = re.compile(rb"\\bin(\d{1,9}) ?")
_BREAKS = frozenset({b"par", b"line", b"cell", b"row", b"tab", b"page", b"sect", b"nestcell", b"nestrow"})
_CHARACTERS = {
    b"emdash": "\u2014",
    b"endash": "\u2013",
    b"lquote": "\u2018",
    b"rquote": "\u2019",
    b"ldblquote": "\u201c",
    b"rdblquote": "\u201d",
    b"bullet": "\u2022",
}
_SPACES = frozenset({b"~", b"emspace", b"enspace"})
# Tables and pictures of the file itself: nothing in them is text.
_SILENT = frozenset(
    b"fonttbl colortbl stylesheet pict themedata colorschememapping latentstyles datastore listtable listoverridetable "
    b"rsidtbl generator fontemb xmlnstbl mmathPr blipuid bliptag panose falt operator htmltag mhtmltag".split()
)
_CODE_PAGES = {b"mac": "mac_roman", b"pc": "cp437", b"pca": "cp850"}


def read_rtf(data: bytes, where: str, found: Findings) -> None:
    """Add the text of an RTF document; an embedded object in it is a problem, because it is not opened."""
    if b"\\bin" in data:
        data = _without_binary(data)
    reader = _Reader()
    for match in _TOKEN.finditer(data):
        reader.token(match)
    reader.flush()
    if reader.objects:
        found.fail(UnreadableError("holds an embedded object that was not opened"))
    # Characters beyond U+FFFF come as two halves.
    text = "".join(reader.pieces).encode("utf_16_le", "surrogatepass").decode("utf_16_le", "replace")
    found.add(where, text)


def _without_binary(data: bytes) -> bytes:
    kept, position = [], 0
    while match := _BINARY.search(data, position):
        kept.append(data[position : match.start()])
        position = match.end() + int(match[1])
    return b"".join([*kept, data[position:]])


class _Reader:
    """The state that RTF keeps for each group: whether it is silent, and how many characters stand in for one."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.objects = False
        self._octets = b""
        self._code_page = "cp1252"
        self._silent, self._stand_ins = False, 1
        self._groups: list[tuple[bool, int]] = []
        self._skip = 0

    def token(self, match: re.Match[bytes]) -> None:
        word, number, octet, symbol, brace, plain = match.groups()
        if brace:
            self._brace(brace)
        elif word:
            self._word(word, int(number) if number else None)
        elif octet:
            self._add(bytes.fromhex(octet.decode("ascii")))
        elif symbol:
            if symbol in b"\\{}":
                self._add(symbol)
            elif symbol in _SPACES:
                self._add(b" ")
        elif plain:
            self._add(plain)

    def flush(self) -> None:
        """Decode the octets that were collected: characters of East Asian code pages are longer than one."""
        if self._octets:
            self.pieces.append(decode_short(self._octets, self._code_page))
            self._octets = b""

    def _brace(self, brace: bytes) -> None:
        self._skip = 0
        if brace == b"{":
            self._groups.append((self._silent, self._stand_ins))
        elif self._groups:
            self._silent, self._stand_ins = self._groups.pop()

    def _add(self, octets: bytes) -> None:
        if self._skip:
            skipped = min(self._skip, len(octets))
            self._skip -= skipped
            octets = octets[skipped:]
        if not self._silent:
            self._octets += octets

    def _word(self, word: bytes, number: int | None) -> None:
        if word in _SILENT:
            self._silent = True
        elif word == b"objdata":
            self.objects = self._silent = True
        elif word == b"ansicpg" and number is not None:
            self._code_page = f"cp{number}"
        elif word in _CODE_PAGES:
            self._code_page = _CODE_PAGES[word]
        elif word == b"uc" and number is not None:
            self._stand_ins = max(0, min(number, 16))
        elif word == b"u" and number is not None:
            self._character(chr(number % 65_536))
            self._skip = self._stand_ins
        elif word in _BREAKS:
            self._character("\t" if word in {b"tab", b"cell"} else "\n")
        elif word in _CHARACTERS:
            self._character(_CHARACTERS[word])
        elif word in _SPACES:
            self._add(b" ")

    def _character(self, character: str) -> None:
        if not self._silent:
            self.flush()
            self.pieces.append(character)
