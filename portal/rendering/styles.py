"""Style sheets and style attributes of mail, cut down to what changes the look of the text and nothing else.

Built as an allow-list over CSS Syntax Level 3 tokens (tinycss2): what is not known is dropped, so that neither
``url()`` in any spelling, ``@import``, ``expression()``, custom properties nor positioning survives. The document's
policy forbids loading anyway; this is the layer in front of it. Nothing negative and nothing computed stays: boxes grow
with what they hold, and none is drawn over another or over the edge.
"""

import tinycss2
from tinycss2.ast import (
    AtRule,
    Declaration,
    DimensionToken,
    FunctionBlock,
    HashToken,
    IdentToken,
    LiteralToken,
    Node,
    NumberToken,
    PercentageToken,
    QualifiedRule,
    StringToken,
    WhitespaceToken,
)

_ATTRIBUTE_LIMIT = 8 << 10  # characters of one style attribute
_SHEET_LIMIT = 256 << 10  # characters of all style elements of one mail
_RULES_LIMIT = 4000

_PLAIN = (
    "background-color border-collapse border-radius border-spacing caption-side clear color direction "
    "empty-cells float height letter-spacing line-height max-height max-width table-layout "
    "unicode-bidi vertical-align visibility white-space width word-break word-spacing word-wrap overflow-wrap "
    "background display hyphens text-align text-decoration text-decoration-color text-decoration-line "
    "text-decoration-style text-indent text-transform font font-family font-size font-stretch font-style "
    "font-variant font-weight list-style list-style-type list-style-position page-break-after "
    "page-break-before page-break-inside"
)
_SIDES = ("top", "right", "bottom", "left")
PROPERTIES = frozenset(
    [
        *_PLAIN.split(),
        "border",
        *(f"border-{side}" for side in _SIDES),
        *(f"border-{side}-{what}" for side in _SIDES for what in ("color", "style", "width")),
        *(f"border-{what}" for what in ("color", "style", "width")),
        "margin",
        "padding",
        *(f"{what}-{side}" for what in ("margin", "padding") for side in _SIDES),
    ]
)
_FUNCTIONS = frozenset({"rgb", "rgba", "hsl", "hsla"})
_DISPLAY_VALUES = (
    "none block inline inline-block list-item table table-row table-cell table-row-group table-header-group "
    "table-footer-group table-column table-column-group table-caption inline-table"
)
_DISPLAY = frozenset(_DISPLAY_VALUES.split())
# What moves a box inside its own: in percent a browser leaves it out when it reckons how wide the outer one must be.
_MOVING = frozenset(name for name in PROPERTIES if name.startswith(("margin", "padding")) or name == "text-indent")
_SIMPLE = (IdentToken, NumberToken, PercentageToken, DimensionToken, HashToken, StringToken, WhitespaceToken)


def safe_declarations(css: str) -> str:
    """Return the declarations of a style attribute that are kept, written anew; empty when none is."""
    if len(css) > _ATTRIBUTE_LIMIT:
        return ""
    try:
        return _declarations(tinycss2.parse_declaration_list(css, skip_comments=True, skip_whitespace=True))
    except RecursionError:  # ((((...: the serialiser recurses
        return ""


def safe_sheet(css: str) -> str:
    """Return the rules of a style sheet that are kept, written anew, fit to stand inside a style element.

    At-rules go: ``@media`` in mail speaks to mail clients, ``@import`` and ``@font-face`` load.
    """
    if len(css) > _SHEET_LIMIT:
        return ""
    css = css.replace("<!--", " ").replace("-->", " ")
    kept: list[str] = []
    try:
        for rule in tinycss2.parse_stylesheet(css, skip_comments=True, skip_whitespace=True)[:_RULES_LIMIT]:
            if isinstance(rule, AtRule) or not isinstance(rule, QualifiedRule):
                continue
            selector = _selector(rule.prelude)
            body = _declarations(
                tinycss2.parse_declaration_list(rule.content, skip_comments=True, skip_whitespace=True)
            )
            if selector and body:
                kept.append(f"{selector}{{{body}}}")
    except RecursionError:
        return ""
    return "\n".join(kept)


def _selector(prelude: list[Node]) -> str:
    """Return a selector of elements, classes and combinators; empty when anything else stands in it."""
    for token in prelude:
        if isinstance(token, (IdentToken, WhitespaceToken)):
            continue
        if isinstance(token, LiteralToken) and token.value in {".", ",", ">", "+", "*"}:
            continue
        return ""
    return _written(prelude).strip()


def _declarations(nodes: list[Node]) -> str:
    kept = []
    for node in nodes:
        if not isinstance(node, Declaration) or node.lower_name not in PROPERTIES:
            continue
        value = [token for token in node.value if token.type != "comment"]
        if not all(map(_harmless, value)):
            continue
        text = _written(value).strip()
        if node.lower_name == "display" and text.lower() not in _DISPLAY:
            continue
        if node.lower_name == "visibility" and text.lower() == "collapse":
            continue  # Firefox: a cell over rows or columns that collapse is smaller than what it holds
        if node.lower_name in _MOVING and any(token.type == "percentage" for token in value):
            continue
        if text:
            # Never !important: our own notes in the document must win.
            kept.append(f"{node.lower_name}:{text}")
            if node.lower_name in ("width", "max-width"):
                kept.append("min-width:min-content")  # or what it holds would lie on what stands beside it
    return ";".join(kept)


def _harmless(token: Node) -> bool:
    if isinstance(token, FunctionBlock):
        return token.lower_name in _FUNCTIONS and all(map(_harmless, token.arguments))
    if isinstance(token, LiteralToken):
        return token.value in {",", "/"}
    if isinstance(token, (NumberToken, PercentageToken, DimensionToken)) and token.value < 0:
        return False
    return isinstance(token, _SIMPLE)


def _written(tokens: list[Node]) -> str:
    # Inside a style element "</" would end it, whatever CSS says; an escape means the same and cannot.
    return str(tinycss2.serialize(tokens)).replace("<", "\\3c ").replace("\x00", "")
