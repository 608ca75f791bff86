"""What is sealed in these tests: one letter, and the moments around it."""

from datetime import UTC, datetime, timedelta

from relay.message.parts import Part, Reading

NOW = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)
EXPIRES = NOW + timedelta(days=30)


def reading(**changes: object) -> Reading:
    """Return a message with a text, an HTML body, an inline picture and an attachment."""
    values: dict[str, object] = {
        "message_id": "<1@example.org>",
        "from_": "anna@example.org",
        "to": ("jane@example.net",),
        "cc": ("kim@example.org",),
        "date": datetime(2026, 11, 22, 13, 29, 58, tzinfo=UTC),
        "subject": "Your appointment ✓",
        "parts": (
            Part("text", "the text", type="text/plain", text="Grüße, Jane"),
            Part("html", "the HTML", type="text/html", text="<p>Grüße</p>"),
            Part("inline", "picture", name="logo.png", type="image/png", data=b"\x89PNG", cid="logo"),
            Part("attachment", "report.pdf", name="report.pdf", type="application/pdf", data=bytes(range(256)) * 40),
        ),
    }
    return Reading(**(values | changes))  # type: ignore[arg-type]
