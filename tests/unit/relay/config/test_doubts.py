from collections.abc import Callable
from pathlib import Path

import pytest

from relay.config import Inspection

Inspect = Callable[..., Inspection]


def test_a_sound_configuration_gives_no_warning(inspect_with: Inspect) -> None:
    """Nothing is said where nothing is doubtful."""
    inspection = inspect_with()
    assert (inspection.problems, inspection.warnings) == ((), ())
    assert inspection.configuration is not None
    assert inspection.ruleset is not None


@pytest.mark.parametrize(
    ("old", "new", "place", "warning"),
    [
        (
            'domain = "letter.example.org"',
            'domain = "letter.example.net"',
            "7:10",
            "is no sub-domain of the organisation",
        ),
        ('["example.org"]', '["example.org", "Example.org"]', "4:27", '"example.org" stands twice'),
        ('"127.0.0.1:2525"', '"192.0.2.1:2525"', "12:1", 'listen.submission.tls is "none" on 192.0.2.1:2525'),
        ('"127.0.0.1:2525"', '"127.0.0.1:2525"\ntrusted_networks = []', "14:20", "nobody can send"),
        (
            '"127.0.0.1:2525"',
            '"127.0.0.1:2525"\ntrusted_networks = ["10.0.0.0/8", "8.8.0.0/16"]',
            "14:35",
            "8.8.0.0/16 is on the public internet",
        ),
        ('"127.0.0.1:8080"', '"0.0.0.0:8080"', "20:10", "HTTP without TLS"),
        ('"127.0.0.1:8080"', '"127.0.0.1:8080"\nnotice_subject = "original"', "21:18", "mailed in clear"),
        ("[portal]", '[delivery]\ngive_up_after = "5h"\n[portal]', "19:17", "under a day"),
        ("[portal]", '[delivery]\nwarn_after = "5d"\n[portal]', "19:14", "nobody is told that mail is late"),
        ("[portal]", '[delivery]\nretry = ["5m", "1m"]\n[portal]', "19:9", "shorter than the one before it"),
        ("[portal]", '[delivery]\nretry = ["0s"]\n[portal]', "19:9", "tried again and again, without end"),
        ("[portal]", "[limits]\nconnections = 10\n[portal]", "18:1", "one client can take them all"),
        ('action = "seal"', 'action = "seal"\nmode = "shadow"', "21:1", "no rule is live"),
        ("[[rules]]", '[groups]\nfriends = ["a.example"]\n[[rules]]', "22:1", 'no rule uses the group "friends"'),
        ('[[dkim]]\ndomain = "letter.', '[[dkim]]\ndomain = "', "7:10", "notices look less genuine"),
        ('folder = "keys"', 'folder = "elsewhere"', "10:10", "the folder of the keys is not there yet: elsewhere"),
    ],
)
def test_what_is_legal_and_doubtful_is_a_warning(
    inspect_with: Inspect, old: str, new: str, place: str, warning: str
) -> None:
    """Each doubt is said at its line, and the configuration works all the same."""
    inspection = inspect_with((old, new))
    assert inspection.problems == ()
    [line] = inspection.warnings
    assert line.startswith(f"relay.toml:{place}: ")
    assert warning in line


def test_a_sender_need_not_be_told_of_delays(inspect_with: Inspect) -> None:
    """With warn_after = "never" nothing is doubted, and the queue is told so."""
    inspection = inspect_with(("[portal]", '[delivery]\nwarn_after = "never"\n[portal]'))
    assert inspection.warnings == ()
    assert inspection.configuration is not None
    assert inspection.configuration.delivery.warn_after is None


def test_a_policy_without_rules_is_doubted(inspect_with: Inspect) -> None:
    """Without any rule every message would pass, except what cannot be inspected; the file has no line for it."""
    rule = (
        '[[rules]]\nname = "nhs-numbers"\nbecause = "the message contains an NHS number"\n'
        'when = { identifier = "nhs" }\naction = "seal"\n'
    )
    [line] = inspect_with((rule, "")).warnings
    assert line == (
        "relay.toml: there are no rules: every message passes, except what cannot be inspected "
        "(docs/rules.md has examples)"
    )


def test_a_missing_recovery_key_is_a_warning(inspect_with: Inspect) -> None:
    """Without the organisation's recovery key a lost link is a lost message; check says so."""
    (Path("keys") / "public" / "recovery.pub").unlink()
    [line] = inspect_with().warnings
    assert "cannot be opened by anybody" in line
    assert "letterlock keys recovery" in line
