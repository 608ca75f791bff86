"""What a judge asks the policies about, and what it has to be before the first message comes."""

import subprocess
import sys
from collections.abc import Sequence

import pytest

from policies.model import Acquaintance
from policies.ruleset import compile_rules
from relay.judging import Judge
from relay.message.extraction.extractor import Extractor
from relay.message.reading import read

# In a process of its own: what is compiled once in a process, other tests have compiled here already.
_SCRIPT = """
from unittest.mock import patch
import re2
from policies import engine
from policies.ruleset import RuleSpec, compile_rules
from relay.judging import Judge
from relay.message.extraction.extractor import Extractor
from relay.message.reading import read

NAMES = ("nhs", "nino", "bsn", "iban", "card")
TEXT = "\\u2014 4010232137, 111222333, GB82 WEST 1234 5698 7654 32, 4111111111111111, \\u0661, AB 12 34 56 C"
rules = compile_rules(
    [RuleSpec(name="r", because="b", when={"any": [{"identifier": one} for one in NAMES]}, action="seal")],
    lists={}, groups={},
)
letter = read(("Content-Type: text/plain; charset=utf-8\\r\\n\\r\\n" + TEXT + "\\r\\n").encode())
database = patch("hyperscan.Database", side_effect=AssertionError("a database is compiled"))
expression = patch.object(re2, "compile", side_effect=AssertionError("an expression is compiled"))

def judged(judge):
    with database, expression:
        return judge.judge("a@example.org", ["b@example.net"], letter).verdicts

with patch("policies.scanning.Scanner.make_ready"):
    unready = Judge(rules, Extractor(1), ["example.org"], seconds=1, history=None)
try:
    judged(unready)
except AssertionError:
    pass
else:
    raise AssertionError("this letter needs nothing that is compiled late")
[verdict] = judged(Judge(rules, Extractor(1), ["example.org"], seconds=1, history=None))
assert {finding.detector for hit in verdict.hits for finding in hit.findings} == {"nino", "iban", "card"}, verdict
"""


def test_judging_compiles_nothing() -> None:
    """Not for bare numbers, for which a label is looked up in the whole text, nor for characters beyond ASCII."""
    subprocess.run([sys.executable, "-c", _SCRIPT], check=True, timeout=60)


@pytest.mark.parametrize(
    ("to", "cc", "envelope", "count"),
    [
        ("a@example.net, b@example.net", "C@example.com", ["a@example.net"], 3),
        ("a@example.net", "A@Example.net", ["a@example.net", "A@example.net"], 1),
        ("a@example.net", "ben@example.org", ["a@example.net", "ben@example.org", "hidden@example.net"], 1),
        ("ben@example.org", "", ["hidden@example.net", "other@example.net"], 0),
    ],
    ids=["other transactions", "two spellings", "colleagues and blind copies", "blind copies alone"],
)
def test_who_outside_sees_whose_address(to: str, cc: str, envelope: list[str], count: int) -> None:
    """Everybody outside in To and Cc, whoever this transaction is for; no colleague, and nobody's blind copy."""
    judge = Judge(compile_rules([], lists={}, groups={}), Extractor(1), ["example.org"], seconds=1, history=None)
    letter = read(f"From: anna@example.org\r\nTo: {to}\r\nCc: {cc}\r\n\r\nHello\r\n".encode())
    message = judge.message("anna@example.org", envelope, letter)
    assert message.visible_outside == count
    assert [one.visible for one in message.recipients] == [
        "hidden" not in one and "other" not in one for one in envelope
    ]


@pytest.mark.parametrize(
    ("author", "reverse_path", "sender"),
    [
        ("anna@example.org", "bounces@mailer.example", "anna@example.org"),
        ("eve@example.net", "anna@example.org", "anna@example.org"),
        ("eve@example.net", "", "eve@example.net"),
        ("anna@example.org", "", "anna@example.org"),
        ("", "anna@example.org", "anna@example.org"),
    ],
)
def test_whose_message_it_is(author: str, reverse_path: str, sender: str) -> None:
    """The author's where the author is staff, whatever a mailing system wrote into the envelope; history is theirs too."""
    asked = []

    def history(who: str, recipients: Sequence[str]) -> dict[str, Acquaintance]:
        asked.append((who, *recipients))
        return {recipients[0]: Acquaintance(sent=1)}

    judge = Judge(compile_rules([], lists={}, groups={}), Extractor(1), ["example.org"], seconds=1, history=history)
    letter = read(f"From: {author}\r\nTo: jane@example.net\r\n\r\nHello\r\n".encode())
    message = judge.message(reverse_path, ["jane@example.net"], letter)
    assert message.sender == sender
    assert asked == [(sender, "jane@example.net")]
    assert message.acquaintances == {"jane@example.net": Acquaintance(sent=1)}
    assert message.history_known
