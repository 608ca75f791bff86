"""Rules in words, so that a person can read in one line what a rule does."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from policies.model import Mode
from policies.ruleset import RuleSpec

_TITLES = {
    "nhs": "an NHS number",
    "nino": "a National Insurance number",
    "bsn": "a citizen service number (BSN)",
    "iban": "an IBAN",
    "card": "a payment card number",
}
_TO = {"any": "anybody", "inside": "people inside", "outside": "people outside"}
_DO = {
    "pass": "let it pass",
    "notify": "relay it and tell the sender",
    "seal": "seal it",
    "hold": "hold it",
    "refuse": "refuse it",
}
_SHOWN = 3  # words of a list written into the rule itself


def rule_words(rule: RuleSpec) -> str:
    """Return a rule as a sentence: what is done, for mail to whom, when."""
    condition = condition_words(rule.when.model_dump(by_alias=True, exclude_none=True))
    sentence = f"{_DO[str(rule.action)]} when mail to {to_words(rule.to)} {condition}{''.join(_besides(rule))}"
    return sentence if rule.mode is Mode.LIVE else f"({rule.mode.value}) {sentence}"


def _besides(rule: RuleSpec) -> Iterator[str]:
    """Yield what a rule says beside its action, where it is not the ordinary thing."""
    if rule.partners == "enough":
        yield "; a partner's proven connection is enough"
    if rule.release == "any":
        yield "; the sender may let it go unsealed"
    if rule.receipt in ("problems", "never"):
        yield {"problems": "; a receipt only when something fails", "never": "; no receipt"}[rule.receipt]


def to_words(to: str) -> str:
    """Return whom a rule is about: ``people outside``, ``the group partners``, ``a.example or b.example``."""
    if to in _TO:
        return _TO[to]
    if to.startswith("group:"):
        return f"the group {to.removeprefix('group:')}"
    return " or ".join(part.strip() for part in to.split(","))


def condition_words(condition: Mapping[str, Any]) -> str:
    """Return a condition, as it is written in the file, as the end of "mail that …"."""
    kind = next(key for key in condition if key in _WORDS)
    return _WORDS[kind](condition)


def _joined(parts: Sequence[Mapping[str, Any]], word: str) -> str:
    texts = [condition_words(part) for part in parts]
    if len(texts) == 1:
        return texts[0]
    return word.join(f"({text})" if " and " in text or " or " in text else text for text in texts)


def _identifier(condition: Mapping[str, Any]) -> str:
    sure = condition["confidence"]
    what = _TITLES.get(condition["identifier"], condition["identifier"]) + (
        "" if sure == "medium" else f" ({sure} confidence)"
    )
    count = condition["at_least"]
    return f"contains {what}" if count == 1 else f"contains {what}, at least {count} different ones"


def _keywords(condition: Mapping[str, Any]) -> str:
    words, count = condition["keywords"], condition["at_least"]
    source = f'the list "{words}"' if isinstance(words, str) else _few(words)
    return f"contains a term of {source}" if count == 1 else f"contains {count} terms of {source}"


def _pattern(condition: Mapping[str, Any]) -> str:
    count = condition["at_least"]
    return f"matches /{condition['pattern']}/" + (f" in {count} places" if count > 1 else "")


def _unfamiliar(condition: Mapping[str, Any]) -> str:
    if condition["unfamiliar"] == "first-contact":
        return "goes to somebody the sender never wrote to"
    return "goes to somebody nobody here ever wrote to"


def _visible(condition: Mapping[str, Any]) -> str:
    return f"shows {condition['visible_outside']['at_least']} or more outside people each other's addresses"


def _attachment(condition: Mapping[str, Any]) -> str:
    wanted = condition["attachment"]
    said = [f"{words} {_few(wanted[key])}" for key, words in (("name", "named"), ("type", "of type")) if key in wanted]
    if "encrypted" in wanted:
        said.append("that is encrypted" if wanted["encrypted"] else "that is not encrypted")
    return " ".join(["has an attachment", *said])


def _few(words: str | Sequence[str]) -> str:
    if isinstance(words, str):
        return words
    shown = " or ".join(words[:_SHOWN])
    return shown if len(words) <= _SHOWN else f"{shown} or {len(words) - _SHOWN} more"


_WORDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "any": lambda condition: _joined(condition["any"], " or "),
    "all": lambda condition: _joined(condition["all"], " and "),
    "not": lambda condition: f"not ({condition_words(condition['not'])})",
    "identifier": _identifier,
    "keywords": _keywords,
    "pattern": _pattern,
    "unfamiliar": _unfamiliar,
    "recipient_domain": lambda condition: f"goes to {_few(condition['recipient_domain'])}",
    "visible_outside": _visible,
    "subject_tag": lambda condition: f"has {condition['subject_tag']} in its subject",
    "attachment": _attachment,
    "calendar": lambda _condition: "has an entry for a calendar",
    "mailing_list": lambda _condition: "goes to a mailing list of the organisation",
    "encrypted": lambda _condition: "was encrypted by its sender",
    "not_inspectable": lambda _condition: "has something in it that cannot be read",
}
