"""Text of XML without ever expanding an entity: a declaration of one is refused before it could be used."""

from collections.abc import Collection
from xml.parsers import expat

from relay.message.extraction.budget import UnreadableError

# Ends of these make a new line or cell: Word, DrawingML, Excel and OpenDocument use the same local names.
BREAKS = frozenset(
    (
        *("p", "h", "br", "cr", "tab", "tr", "tc", "row", "c", "si", "comment", "author", "text", "sheet", "instrText"),
        *("line-break", "table-cell", "covered-table-cell", "table-row", "list-item", "annotation"),
        *("definedName", "f", "formula1", "formula2", "pt", "v", "m", "d", "x"),
        *("oddHeader", "oddFooter", "evenHeader", "evenFooter", "firstHeader", "firstFooter"),
        *("title", "subject", "creator", "keywords", "description", "lpwstr"),
    )
)
ATTRIBUTES = frozenset(
    ("descr", "title", "alt", "displayText", "name", "string-value", "value", "formula", "href", "tooltip", "v")
)


def xml_text(
    data: bytes,
    *,
    breaks: Collection[str] = BREAKS,
    attributes: Collection[str] | None = ATTRIBUTES,
    skip: Collection[str] = (),
) -> str:
    """Return the character data of an XML document, a line for each block.

    ``breaks``: local names after which a line ends (empty: every element). ``attributes``: local names whose values
    are text too (None: all of them). ``skip``: local names whose content is left out. Raises UnreadableError for
    damaged XML and for any entity declaration.
    """
    reader = _Reader(breaks, attributes, skip)
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.characters
    parser.EntityDeclHandler = _refuse
    if attributes is None:
        parser.CommentHandler = reader.comment
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise UnreadableError("is damaged") from error
    return "".join(reader.pieces)


def _refuse(*_: object) -> None:
    raise UnreadableError("declares XML entities")


class _Reader:
    def __init__(self, breaks: Collection[str], attributes: Collection[str] | None, skip: Collection[str]) -> None:
        self.pieces: list[str] = []
        self._breaks, self._attributes, self._skip = breaks, attributes, skip
        self._skipping = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if self._skipping or name.rpartition(" ")[2] in self._skip:
            self._skipping += 1
            return
        for key, value in attributes.items():
            if value and (self._attributes is None or key.rpartition(" ")[2] in self._attributes):
                self.pieces.append(f"{value}\n")

    def end(self, name: str) -> None:
        if self._skipping:
            self._skipping -= 1
        elif not self._breaks or name.rpartition(" ")[2] in self._breaks:
            self.pieces.append("\n")
        elif name.endswith(" s"):
            self.pieces.append(" ")

    def characters(self, data: str) -> None:
        # Line ends between elements are layout of the file; spaces of their own are text.
        if not self._skipping and not (data.isspace() and "\n" in data):
            self.pieces.append(data)

    def comment(self, data: str) -> None:
        self.pieces.append(f"{data}\n")
