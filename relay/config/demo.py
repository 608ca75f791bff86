"""The configuration behind ``make run``: the organisation example.org, everything on this machine."""

from collections.abc import Mapping
from importlib.resources import files

_TEXT = """\
# The demo of Letterlock: the organisation example.org, everything on this machine. relay.toml.example
# explains every key; "letterlock check" names every mistake at its line.

[organisation]
name = "Example Council"
domains = ["example.org"]
contact = "Help desk, +44 20 7946 0000"
languages = ["en", "nl", "de", "fr"]
time_zone = "Europe/London"

[gateway]
domain = "letter.example.org"
workers = 1
# The demo signs nothing. An organisation has a key for this domain: see "letterlock keys dkim --help".

[storage]
database = "sqlite:///{folder}/letterlock.db"
blobs = "{folder}/blobs"
disk_reserve = "64 MiB"

[keys]
folder = "{folder}/keys"

[listen.submission]
address = "127.0.0.1:2525"

# Both next hops are the demo inbox.
[route.inside]
hosts = ["127.0.0.1:2526"]
tls = "none"

[route.outside]
hosts = ["127.0.0.1:2526"]
tls = "none"

# Nothing here hands a message over in pieces.
[receipts]
wait = "0s"

[portal]
base_url = "http://127.0.0.1:8080"
listen = "127.0.0.1:8080"

[demo]
smtp = "127.0.0.1:2526"
web = "127.0.0.1:8025"

[lists]
health = {{ file = "lists/health-en.txt" }}

[groups]
partners = ["nhs.example"]

[[rules]]
name = "secure-tag"
because = "you marked the message with [secure]"
to = "outside"
when = {{ subject_tag = "[secure]" }}
action = "seal"

[[rules]]
name = "nhs-numbers"
because = "the message contains an NHS number"
to = "outside"
when = {{ identifier = "nhs" }}
action = "seal"

[[rules]]
name = "citizen-numbers"
because = "the message contains a citizen service number (BSN)"
to = "outside"
when = {{ identifier = "bsn" }}
action = "seal"

[[rules]]
name = "payment-details"
because = "the message contains payment details"
to = "outside"
when.any = [{{ identifier = "iban" }}, {{ identifier = "card" }}]
action = "seal"

[[rules]]
name = "health-words"
because = "the message speaks of a person's health"
to = "outside"
when = {{ keywords = "health", at_least = 3 }}
action = "seal"

[[rules]]
name = "first-contact"
because = "you have never written to this address"
to = "outside"
when = {{ unfamiliar = "first-contact" }}
action = "notify"

[[rules]]
name = "open-list"
because = "ten or more outside people would see each other's addresses: use Bcc"
to = "outside"
when = {{ visible_outside = {{ at_least = 10 }} }}
action = "refuse"

[[rules]]
name = "think-again"
because = "you asked for a second look with [hold]"
to = "outside"
when = {{ subject_tag = "[hold]" }}
action = "hold"
release = "any"

[[rules]]
name = "invitations"
because = "the message is an entry for a calendar"
to = "outside"
when = {{ calendar = true }}
action = "notify"

# In shadow: recorded, without effect. "letterlock report" shows what it would have done.
[[rules]]
name = "spreadsheets-to-partners"
because = "a spreadsheet leaves the organisation"
mode = "shadow"
to = "group:partners"
when = {{ attachment = {{ name = ["*.xlsx", "*.csv"] }} }}
action = "seal"
"""

_LISTS = ("health-en.txt",)


def word_lists() -> Mapping[str, str]:
    """Return the word lists that the demo names, by their path beside relay.toml."""
    folder = files("relay.config") / "lists"
    return {f"lists/{name}": (folder / name).read_text(encoding="utf-8") for name in _LISTS}


def demo_text(*, folder: str = "var") -> str:
    """Return the demo's relay.toml; ``folder`` is where it keeps database, blobs and keys."""
    return _TEXT.format(folder=folder)
