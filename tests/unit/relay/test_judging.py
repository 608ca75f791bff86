"""What a judge has to be before the first message comes."""

import subprocess
import sys

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
