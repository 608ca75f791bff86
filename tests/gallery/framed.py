"""A mail as a mail program shows it: who, to whom, what about, then its HTML; its text where it has no HTML."""

import re
from email import message_from_bytes, policy
from email.message import EmailMessage
from html import escape

_BODY = re.compile(r"<body[^>]*>")
_STRIP = (
    "padding:12px 16px;background:#eef1f4;border-bottom:1px solid #c5ced6;font:14px/1.5 Arial,sans-serif;color:#1c2430"
)
_PLAIN = "max-width:640px;margin:16px;font:15px/1.5 Consolas,'DejaVu Sans Mono',monospace;white-space:pre-wrap"
_FILES = "margin:0 16px 16px;padding:8px 12px;border:1px solid #c5ced6;font:14px/1.5 Arial,sans-serif"


def framed(content: bytes) -> str:
    """Return the page that shows a mail."""
    message = message_from_bytes(content, policy=policy.default)
    assert isinstance(message, EmailMessage)
    shown = [(name, _people(message, name)) for name in ("From", "Reply-To", "To", "Cc") if message[name]]
    shown += [("Subject", str(message["Subject"])), ("Date", message["Date"].datetime.strftime("%d %b %Y %H:%M"))]
    lines = "".join(f"<div><b>{name}:</b> {escape(value)}</div>" for name, value in shown)
    files = "".join(f"<div>Attached: {escape(name)}</div>" for name in _attached(message))
    strip = f'<div style="{_STRIP};overflow-wrap:anywhere">{lines}</div>'
    below = f'<div style="{_FILES}">{files}</div>' if files else ""
    body = message.get_body(preferencelist=("html", "plain"))
    assert body is not None
    if body.get_content_subtype() == "plain":
        text = f'<pre style="{_PLAIN}">{escape(body.get_content())}</pre>'
        return f'<!DOCTYPE html><html lang="en"><body style="margin:0">{strip}{text}{below}</body></html>'
    html = str(body.get_content())
    opened = _BODY.search(html)
    assert opened
    inside = html[opened.end() :].replace("</body>", f"</div>{below}</body>")
    return f'{html[: opened.start()]}<body style="margin:0">{strip}<div style="padding:16px">{inside}'


def _people(message: EmailMessage, name: str) -> str:
    addresses = message[name].addresses
    return ", ".join(
        f"{one.display_name} <{one.addr_spec}>" if one.display_name else one.addr_spec for one in addresses
    )


def _attached(message: EmailMessage) -> list[str]:
    """Return the names of what comes along, as mail programs name it."""
    found = []
    for part in message.iter_attachments():
        kind = part.get_content_type()
        if kind == "message/rfc822":
            found.append(f"{part.get_content()['Subject']}.eml")
        elif kind.startswith(("message/", "text/rfc822-headers")):
            found.append({"message/delivery-status": "details.txt"}.get(kind, "header of the original.txt"))
        else:
            found.append(part.get_filename() or kind)
    return found
