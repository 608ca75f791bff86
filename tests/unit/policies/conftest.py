"""Builders shared by the tests of the judge: a message and a ruleset in one line each."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from policies.model import Acquaintance, Attachment, Content, Message, Recipient, Text
from policies.ruleset import Ruleset, RuleSpec, compile_rules

INSIDE = "example.org"


def recipient(address: str) -> Recipient:
    domain = address.rpartition("@")[2]
    return Recipient(address, domain, inside=domain == INSIDE)


@pytest.fixture
def a_message() -> Callable[..., Message]:
    """Build a message: text, recipients, subject, attachments, history."""

    def build(
        text: str = "",
        *,
        to: tuple[str, ...] = ("reader@outside.example",),
        subject: str = "",
        attachments: tuple[Attachment, ...] = (),
        problems: tuple[str, ...] = (),
        encrypted: bool = False,
        **more: Any,
    ) -> Message:
        content = Content(subject, (Text("body", text),) if text else (), attachments, problems, encrypted)
        known: Mapping[str, Acquaintance] = more.pop("acquaintances", {})
        return Message(f"sender@{INSIDE}", tuple(map(recipient, to)), content, acquaintances=known, **more)

    return build


@pytest.fixture
def rules() -> Callable[..., Ruleset]:
    """Compile rules written as tables; name, because and action have defaults."""

    def build(
        *written: dict[str, Any],
        lists: Mapping[str, tuple[str, ...]] | None = None,
        groups: Mapping[str, tuple[str, ...]] | None = None,
        mailing_lists: tuple[str, ...] = (),
    ) -> Ruleset:
        specs = [
            RuleSpec.model_validate({"name": f"rule-{number}", "because": "it says so", "action": "seal", **rule})
            for number, rule in enumerate(written)
        ]
        return compile_rules(specs, lists=lists or {}, groups=groups or {}, mailing_lists=mailing_lists)

    return build
