"""The first relay.toml of a real organisation: short, with the questions that only its people can answer."""

import json

_TEXT = """\
# Letterlock. relay.toml.example explains every key; "letterlock check" names every mistake at its line.

[organisation]
name = {name}
domains = [{domain}]
contact = {contact}

[gateway]
domain = {gateway}                # a sub-domain of its own: route its mail (MX) to this relay

[listen.submission]
address = "127.0.0.1:2525"
# To let other machines send: address = "0.0.0.0:2525", tls = "starttls", certificate = "…", key = "…"
trusted_networks = ["127.0.0.0/8", "::1/128"]

[route.inside]                    # the mail server of the staff
hosts = [{inside}]
tls = "opportunistic"

[route.outside]                   # the way out: usually a smarthost
hosts = [{outside}]
tls = "required"

[portal]
base_url = {portal}
listen = "127.0.0.1:8080"         # a web server with TLS stands in front

# Signed notices look genuine. This makes a key, and prints what to publish in the DNS and a table [[dkim]] for here:
# letterlock keys dkim {gateway} letterlock

[[rules]]
name = "secure-tag"
because = "you marked the message with [secure]"
to = "outside"
when = {{ subject_tag = "[secure]" }}
action = "seal"

# Begin a rule in shadow, look at "letterlock report" after a week, then let it go live.
[[rules]]
name = "identifiers"
because = "the message contains personal identifiers"
mode = "shadow"
to = "outside"
when.any = [{{ identifier = "nhs" }}, {{ identifier = "bsn" }}, {{ identifier = "iban" }}, {{ identifier = "card" }}]
action = "seal"

# A sealed invitation is a file to download: calendars take up only what reaches them unchanged.
[[rules]]
name = "invitations"
because = "the message is an entry for a calendar"
to = "outside"
when = {{ calendar = true }}
action = "notify"
"""


def starter_text(*, name: str, domain: str, contact: str) -> str:
    """Return a relay.toml for one organisation; every other value is a guess from its mail domain."""
    guesses = {
        "name": name,
        "domain": domain,
        "contact": contact,
        "gateway": f"letter.{domain}",
        "inside": f"mail.{domain}:25",
        "outside": f"smtp.{domain}:25",
        "portal": f"https://letter.{domain}",
    }
    # A JSON string is a TOML basic string, except for the one control character that JSON leaves as it is.
    quoted = {key: json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f") for key, value in guesses.items()}
    return _TEXT.format(**quoted)
