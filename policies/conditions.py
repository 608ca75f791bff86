"""Conditions as they are written in relay.toml: one leaf, or a tree of any, all and not.

A leaf is told by its key (``{ identifier = "nhs" }``, ``{ keywords = "health", at_least = 3 }``). These models
only say whether a condition is well written; ``policies.ruleset`` says whether it can mean anything.
"""

import difflib
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

IdentifierName = Literal["nhs", "nino", "bsn", "iban", "card"]
ConfidenceName = Literal["low", "medium", "high"]
AtLeast = Annotated[int, Field(ge=1, le=1000, strict=True)]
Words = str | tuple[str, ...]


class _Condition(BaseModel):
    """Frozen, and strict about keys it does not know: a misspelt key would be a condition that is not there."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class IdentifierCondition(_Condition):
    """Personal identifiers with a check digit; ``at_least`` counts different numbers."""

    identifier: IdentifierName
    confidence: ConfidenceName = "medium"
    at_least: AtLeast = 1


class KeywordsCondition(_Condition):
    """Terms of a named list (a string) or of this list itself; ``at_least`` counts different terms."""

    keywords: Words
    at_least: AtLeast = 1


class PatternCondition(_Condition):
    """A regular expression in RE2 syntax; ``at_least`` counts different matches."""

    pattern: Annotated[str, Field(min_length=1, max_length=2000)]
    at_least: AtLeast = 1


class UnfamiliarCondition(_Condition):
    """The recipient is new to this sender, or to everybody in the organisation."""

    unfamiliar: Literal["first-contact", "first-contact-organisation"]


class RecipientDomainCondition(_Condition):
    """The recipient's domain is one of these; ``*.example`` stands for every sub-domain of example."""

    recipient_domain: Words


class CountSpec(_Condition):
    """A number that must be reached."""

    at_least: AtLeast


class VisibleOutsideCondition(_Condition):
    """How many outside people can see each other's addresses in To and Cc."""

    visible_outside: CountSpec


class SubjectTagCondition(_Condition):
    """A tag that staff type into the subject, compared as a person would compare it."""

    subject_tag: str


class AttachmentSpec(_Condition):
    """What one attachment must be; every key that is given must hold for the same attachment."""

    present: Literal[True] | None = None
    name: Words | None = None
    type: Words | None = None
    encrypted: bool | None = None


class AttachmentCondition(_Condition):
    """The message has an attachment like this."""

    attachment: AttachmentSpec


class NotInspectableCondition(_Condition):
    """Something in the message could not be read by the gateway."""

    not_inspectable: Literal[True]


class CalendarCondition(_Condition):
    """The message carries an invitation, an answer to one, or another calendar entry."""

    calendar: Literal[True]


class MailingListCondition(_Condition):
    """The recipient is one of the organisation's ``mailing_lists``."""

    mailing_list: Literal[True]


class EncryptedCondition(_Condition):
    """The sender encrypted the whole message (S/MIME, OpenPGP)."""

    encrypted: Literal[True]


class AnyCondition(_Condition):
    """At least one of these holds."""

    any: "tuple[ConditionSpec, ...]"


class AllCondition(_Condition):
    """Each of these holds."""

    all: "tuple[ConditionSpec, ...]"


class NotCondition(_Condition):
    """This does not hold."""

    not_: "ConditionSpec" = Field(alias="not")


Leaf = (
    IdentifierCondition
    | KeywordsCondition
    | PatternCondition
    | UnfamiliarCondition
    | RecipientDomainCondition
    | VisibleOutsideCondition
    | SubjectTagCondition
    | AttachmentCondition
    | NotInspectableCondition
    | CalendarCondition
    | MailingListCondition
    | EncryptedCondition
)
Tree = AnyCondition | AllCondition | NotCondition

CONDITION_KEYS: dict[str, type[_Condition]] = {
    "identifier": IdentifierCondition,
    "keywords": KeywordsCondition,
    "pattern": PatternCondition,
    "unfamiliar": UnfamiliarCondition,
    "recipient_domain": RecipientDomainCondition,
    "visible_outside": VisibleOutsideCondition,
    "subject_tag": SubjectTagCondition,
    "attachment": AttachmentCondition,
    "not_inspectable": NotInspectableCondition,
    "calendar": CalendarCondition,
    "mailing_list": MailingListCondition,
    "encrypted": EncryptedCondition,
    "any": AnyCondition,
    "all": AllCondition,
    "not": NotCondition,
}


def subject_tags(condition: Any) -> Iterator[str]:
    """Yield every subject tag that a condition looks for, wherever it stands in it."""
    match condition:
        case SubjectTagCondition(subject_tag=tag):
            yield tag
        case AnyCondition(any=parts) | AllCondition(all=parts):
            for part in parts:
                yield from subject_tags(part)
        case NotCondition(not_=part):
            yield from subject_tags(part)


def _by_key(value: Any) -> Any:
    """Choose the model by the key that names the condition, so that an error points at the key itself."""
    if isinstance(value, _Condition):
        return value
    if not isinstance(value, dict):
        raise ValueError('write a condition as a table, such as { identifier = "nhs" }')  # noqa: TRY004
    names = [key for key in value if key in CONDITION_KEYS]
    if len(names) > 1:
        raise ValueError(f"{' and '.join(names)} stand side by side: write all = [ … ] or any = [ … ] around them")
    if not names:
        known = ", ".join(CONDITION_KEYS)
        close = [match for key in value for match in difflib.get_close_matches(str(key), CONDITION_KEYS, 1)]
        hint = f"; did you mean {close[0]}?" if close else ""
        raise ValueError(f"a condition has one of the keys {known}{hint}")
    # A ValidationError that leaves here keeps its own key paths: pydantic puts ours in front.
    return CONDITION_KEYS[names[0]].model_validate(value)


ConditionSpec = Annotated[Leaf | Tree, BeforeValidator(_by_key)]
AnyCondition.model_rebuild()
AllCondition.model_rebuild()
NotCondition.model_rebuild()
