"""The HTML of a reply as text, without what the mail program marked as quotation or signature.

The marks are those of Outlook (desktop, web, phones), Gmail, Apple Mail and Thunderbird. Text that is quoted without a
mark is left to `quoting`, as in plain text.
"""

from urllib.parse import unquote

from selectolax.lexbor import LexborHTMLParser, LexborNode

from relay.conversation.control.quoting import QUOTED
from relay.message.html_text import html_text, is_light

# Goes with all that is in it; a mark stays where it was.
_QUOTATION = (
    ".gmail_quote,.gmail_attr,.gmail_quote_container,"
    "blockquote[type=cite],.moz-cite-prefix,.moz-forward-container,#AppleMailQuote,"
    ".ms-outlook-mobile-reference-message,#mail-editor-reference-message-container"
)
_CUT = (
    f"head,style,script,title,{_QUOTATION},"
    ".gmail_signature,.moz-signature,#AppleMailSignature,.AppleMailSignature,"
    "#Signature,#ms-outlook-mobile-signature,#ms-outlook-mobile-body-separator-line"
)
# Goes with all that stands behind it, too: Outlook puts the quotation beside the mark, not into it.
_CUT_FROM = (
    "#divRplyFwdMsg,#appendonsend,#x_divRplyFwdMsg,#x_appendonsend,"
    'div[style*="border-top:solid #E1E1E1"],div[style*="border-top:solid #B5C4DF"]'
)
_DIVIDER = "-----Original Message-----"  # which `quoting` knows


def html_reply_text(source: str) -> str:
    """Return what the author typed, as far as the HTML tells. Never raises.

    A quoted line that says nothing stands for each quotation: `quoting` knows what counts above and below it. A link
    to an address becomes ``text <address>``. Empty for HTML that is too large to be parsed here: nobody types a quarter
    of a megabyte.
    """
    if not is_light(source):
        return ""
    tree = LexborHTMLParser(source)
    for node in tree.css(_CUT_FROM):
        _replace_content(node, _DIVIDER)
    for node in tree.css(_QUOTATION):
        mark = tree.create_node("p")
        mark.insert_child(QUOTED)
        node.insert_before(mark)
    for node in tree.css(_CUT):
        node.decompose()
    for link in tree.css("a[href]"):
        _write_out(link)
    for node in tree.css("*"):
        for name in list(node.attributes):
            del node.attrs[name]  # texts in attributes would be added at the end
    return html_text(tree.html or "")


def _replace_content(node: LexborNode, text: str) -> None:
    while (child := node.child) is not None:
        child.decompose() if child.is_element_node else child.remove()
    node.insert_child(text)


def _write_out(link: LexborNode) -> None:
    target = link.attributes.get("href") or ""
    if not target.lower().startswith("mailto:"):
        return
    address = unquote(target[len("mailto:") :].partition("?")[0])
    shown = link.text().strip()
    link.replace_with(shown if address.lower() in shown.lower() else f"{shown} <{address}>")
