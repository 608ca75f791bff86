"""Masked evidence shows enough to recognise and too little to use."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.engine import judge
from policies.model import Attachment, Message
from policies.redaction import mask, place
from policies.ruleset import Ruleset


@pytest.mark.parametrize(
    ("found", "head", "tail", "shown"),
    [
        ("943 476 5919", 3, 1, "943 *** ***9"),
        ("4111 1111 1111 1111", 0, 4, "**** **** **** 1111"),
        ("943 476\r\n> 5919", 3, 1, "943 *** ***9"),
        ("NL91 ABNA 0417 1643 00", 2, 2, "NL** **** **** **** 00"),
        ("AB", 2, 2, "A*"),
        ("7", 2, 2, "*"),
        ("", 1, 1, ""),
        ("x" * 60, 4, 0, "xxxx" + "*" * 35 + "…"),
    ],
)
def test_masks(found: str, head: int, tail: int, shown: str) -> None:
    """Head, tail and separators stay; quotation marks of a wrapped line do not."""
    assert mask(found, head=head, tail=tail) == shown


@settings(deadline=None)
@given(st.text(min_size=1), st.integers(0, 50), st.integers(0, 50))
def test_a_mask_shows_four_characters_at_most(found: str, head: int, tail: int) -> None:
    """Whatever is asked for, at most four letters or digits and at most half of them stay readable."""
    shown = sum(character.isalnum() for character in mask(found, head=head, tail=tail))
    assert shown <= min(4, sum(character.isalnum() for character in found) // 2)


def test_names_of_places_are_masked_too() -> None:
    """A file named after a patient does not tell the number, nor does it break a line."""
    assert place("943 476 5919 letter\r\n.docx") == "94* *** **** letter  .docx"
    assert place("report 2026.xlsx, sheet 2") == "report 2026.xlsx, sheet 2"


@pytest.mark.parametrize(
    "number",
    ["943 476 5919", "9434765919", "4111 1111 1111 1111", "DE89370400440532013000", "AB 12 34 56 C", "111222333"],
)
def test_no_finding_tells_the_number(
    number: str, a_message: Callable[..., Message], rules: Callable[..., Ruleset]
) -> None:
    """Neither evidence nor place of any finding holds the number, wherever it stood."""
    ruleset = rules(
        {
            "when": {
                "any": [{"identifier": name, "confidence": "low"} for name in ("nhs", "nino", "bsn", "iban", "card")]
            }
        },
        {"when": {"pattern": r"[A-Z0-9]{2}[A-Z0-9 ]{7,}"}},
        {"when": {"attachment": {"present": True}}},
        {"when": {"not_inspectable": True}},
    )
    attachment = Attachment(f"{number}.xlsx", "application/zip", 5, problem=f"holds {number}, which cannot be opened")
    message = a_message(f"NHS patient, card, BSN: {number}", subject=number, attachments=(attachment,))
    compact = number.replace(" ", "")
    (verdict,) = judge(ruleset, message)
    findings = [finding for hit in verdict.hits for finding in hit.findings]
    assert len(findings) >= 5
    for finding in findings:
        assert compact not in (finding.evidence + finding.where).replace(" ", "")
