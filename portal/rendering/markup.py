"""Mail HTML as a flat, well-nested stream of tags and text: linear in its input and bounded in depth.

A tree builder that follows the HTML standard takes quadratic time on deep nesting, and multiplies formatting
elements that are left open (``<b a=1><b a=2>... <p><p>...``): half a megabyte of mail can ask for gigabytes. What
leaves ``rewrite`` has every element closed where its parent closes, at most ``DEPTH`` of them open, and neither
comments nor raw-text elements, so that a tree builder has nothing to repair. It decides nothing about safety:
portal/rendering/html.py does that afterwards, on the tree.
"""

import html
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

DEPTH = 200  # open elements; a newsletter of tables in tables stays under 100
_ATTRIBUTES = 64  # of one tag
_BROKEN = 50  # tags without an end

# The tag and attribute grammar of the HTML standard's tokenizer. Possessive throughout: no backtracking.
_TAG = re.compile(
    r"""<(?P<close>/?)(?P<name>[a-zA-Z][^\s/>]*+)"""
    r"""(?P<rest>(?:[\s/]++|=?+[^\s/>=]++(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s>"'][^\s>]*+)?+)?+|=)*+)>""",
)
_ATTRIBUTE = re.compile(
    r"""(?P<name>=?+[^\s/>=]++)(?:\s*+=\s*+(?:"(?P<double>[^"]*+)"|'(?P<single>[^']*+)'|(?P<bare>[^\s>"'][^\s>]*+))?+)?+"""
)
_COMMENT = re.compile(r"<!--(?:>|->|.*?(?:--!?>|\Z))|<[!?][^>]*+(?:>|\Z)", re.DOTALL)
_AMPERSAND = re.compile(r"&(?=[a-zA-Z0-9#]|\Z)")

VOID = frozenset({"area", "br", "col", "hr", "img", "wbr"})
# Their content is not text for a reader; it is dropped up to the end tag (style is handed out first).
_RAW_NAMES = (
    "script style title textarea xmp iframe noembed noframes noscript plaintext template svg math object "
    "applet audio video canvas select datalist"
)
_RAW = frozenset(_RAW_NAMES.split())
_BLOCK_NAMES = "blockquote center div dl h1 h2 h3 h4 h5 h6 hr ol pre table ul"
# An element of the first kind ends open elements of the second; none outside its own list or table.
_ENDS: Mapping[str, frozenset[str]] = {
    "a": frozenset({"a"}),
    "p": frozenset({"p"}),
    "li": frozenset({"li", "p"}),
    "dt": frozenset({"dt", "dd", "p"}),
    "dd": frozenset({"dt", "dd", "p"}),
    # A link around rows would be taken apart, its words into the table and our note in front of it.
    "td": frozenset({"td", "th", "a"}),
    "th": frozenset({"td", "th", "a"}),
    "tr": frozenset({"tr", "td", "th", "a"}),
    "tbody": frozenset({"tbody", "thead", "tfoot", "tr", "td", "th", "a"}),
    "thead": frozenset({"tbody", "thead", "tfoot", "tr", "td", "th", "a"}),
    "tfoot": frozenset({"tbody", "thead", "tfoot", "tr", "td", "th", "a"}),
    "caption": frozenset({"a"}),
    "colgroup": frozenset({"a"}),
    "col": frozenset({"a"}),
} | {name: frozenset({"p"}) for name in _BLOCK_NAMES.split()}
_FENCES = frozenset({"table", "ul", "ol", "dl", "div", "blockquote", "center"})
_CELLS = frozenset({"td", "th"})


@dataclass(frozen=True, slots=True)
class Tag:
    """A start tag: lower-case name; attributes with lower-case names and decoded values, the first of a name wins."""

    name: str
    attributes: Mapping[str, str]


@dataclass(slots=True)
class Rewritten:
    """The outcome: a well-nested fragment, and the text of the style elements that stood in it."""

    fragment: str
    style: str


# What to write inside an element, given its content as HTML; of an element without content, what to write after it.
Content = Callable[[str], str]
# A hook gets each start tag and returns the tag to write instead (or None for none) and what becomes of the content.
Hook = Callable[[Tag], tuple[Tag | None, Content | None]]


def rewrite(source: str, known: frozenset[str], hook: Hook) -> Rewritten:
    """Return ``source`` as a well-nested fragment of ``known`` elements, each of which passed through ``hook``.

    Elements that are not known lose their tags and keep their text, as browsers treat them. Nothing raises.
    """
    writer = _Writer(known, hook)
    styles: list[str] = []
    for token in tokens(source, styles):
        if isinstance(token, str):
            writer.text(token)
        elif token.name.startswith("/"):
            writer.end(token.name[1:])
        else:
            writer.start(token)
    return Rewritten(writer.finish(), "\n".join(styles))


def tokens(source: str, styles: list[str]) -> Iterator[str | Tag]:
    """Yield text (decoded), start tags, and end tags (a name that begins with ``/``); style texts go to ``styles``.

    Comments, declarations and the content of raw-text elements are not yielded.
    """
    position = 0
    broken = 0
    unclosed: set[str] = set()
    while (start := source.find("<", position)) >= 0:
        if start > position:
            yield html.unescape(source[position:start])
        if comment := _COMMENT.match(source, start):
            position = comment.end()
        elif match := _TAG.match(source, start):
            position = match.end()
            name = match["name"].lower()
            if match["close"]:
                yield Tag("/" + name, {})
            elif name in _RAW:
                position = _after_raw(source, name, position, styles, unclosed)
            else:
                yield Tag(name, _attributes(match["rest"]))
        else:
            # Each search for a missing ">" may run to the end of the mail: after some, the rest counts as text.
            broken += source[start + 1 : start + 2].isalpha()
            if broken > _BROKEN:
                position = start
                break
            yield "<"
            position = start + 1
    if position < len(source):
        yield html.unescape(source[position:])


def _after_raw(source: str, name: str, position: int, styles: list[str], unclosed: set[str]) -> int:
    """Return where the content of a raw-text element ends. ``unclosed`` are names whose end is not in the rest.

    Browsers would drop the rest of the mail; text that a person may need is kept instead.
    """
    end = None if name in unclosed else re.compile(f"</{name}[\\s/>]", re.IGNORECASE).search(source, position)
    if end is None:
        unclosed.add(name)
        return position
    if name == "style":
        styles.append(source[position : end.start()])
    return end.start()


def _attributes(rest: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for match in _ATTRIBUTE.finditer(rest):
        if len(found) >= _ATTRIBUTES:
            break
        value = match["double"] or match["single"] or match["bare"] or ""
        found.setdefault(match["name"].lower(), html.unescape(value))
    return found


@dataclass(frozen=True, slots=True)
class _Open:
    name: str
    written: str  # the name under which it was written
    content: Content | None
    start: int  # index of the first piece of its content


@dataclass(slots=True)
class _Writer:
    known: frozenset[str]
    hook: Hook
    pieces: list[str] = field(default_factory=list)
    stack: list[_Open] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def text(self, text: str) -> None:
        # Only an ampersand that could begin a reference is escaped: nh3 is slow on millions of them.
        self.pieces.append(_AMPERSAND.sub("&amp;", text).replace("<", "&lt;").replace(">", "&gt;"))

    def start(self, tag: Tag) -> None:
        if tag.name not in self.known:
            return
        self._end_implied(tag.name)
        written, content = self.hook(tag)
        if written is None or tag.name in VOID:
            self.pieces.append((_write(written) if written else "") + (content("") if content else ""))
        elif len(self.stack) < DEPTH:
            if written.name == "a":
                self._unlink()
            self.pieces.append(_write(written))
            self.stack.append(_Open(tag.name, written.name, content, len(self.pieces)))
            self.counts[tag.name] = self.counts.get(tag.name, 0) + 1

    def end(self, name: str) -> None:
        if name == "br":
            self.pieces.append("<br>")  # browsers take </br> for <br>
        if not self.counts.get(name):
            return
        # A stray </b> inside a cell must not close the table around it.
        for element in reversed(self.stack):
            if element.name == name:
                break
            if element.name in _CELLS and name not in ("tr", "tbody", "thead", "tfoot", "table"):
                return
        while self._pop() != name:
            pass

    def finish(self) -> str:
        while self.stack:
            self._pop()
        return "".join(self.pieces)

    def _end_implied(self, name: str) -> None:
        ended = _ENDS.get(name)
        if not ended or not any(self.counts.get(other) for other in ended):
            return
        keep = len(self.stack)
        for index in range(len(self.stack) - 1, -1, -1):
            open_name = self.stack[index].name
            if open_name in ended:
                keep = index
            elif open_name in _FENCES or (open_name in _CELLS and name not in ("tr", "tbody", "thead", "tfoot")):
                break
        while len(self.stack) > keep:
            self._pop()

    def _unlink(self) -> None:
        """Make open links ordinary text, as the standard knows no link in a link: the inner one counts."""
        for depth, element in enumerate(self.stack):
            if element.written == "a":
                self.pieces[element.start - 1] = "<span>"
                self.stack[depth] = _Open(element.name, "span", None, element.start)

    def _pop(self) -> str:
        element = self.stack.pop()
        self.counts[element.name] -= 1
        if element.content:
            self.pieces[element.start :] = [element.content("".join(self.pieces[element.start :]))]
        self.pieces.append(f"</{element.written}>")
        return element.name


def _write(tag: Tag) -> str:
    attributes = "".join(f' {name}="{html.escape(value)}"' for name, value in tag.attributes.items())
    return f"<{tag.name}{attributes}>"
