"""From conditions as written to conditions that can be worked out; collects what is wrong on the way."""

import difflib
from collections.abc import Mapping

from policies.attachments import AttachmentShape
from policies.conditions import (
    AllCondition,
    AnyCondition,
    AttachmentCondition,
    CalendarCondition,
    ConditionSpec,
    EncryptedCondition,
    IdentifierCondition,
    KeywordsCondition,
    MailingListCondition,
    NotCondition,
    NotInspectableCondition,
    PatternCondition,
    RecipientDomainCondition,
    SubjectTagCondition,
    UnfamiliarCondition,
    VisibleOutsideCondition,
    Words,
)
from policies.evaluation import (
    AllOf,
    AnyOf,
    Counted,
    HasAttachment,
    HasTag,
    IsCalendar,
    IsEncrypted,
    Node,
    Not,
    NotInspectable,
    Once,
    OnMailingList,
    RecipientDomain,
    Unfamiliar,
    VisibleOutside,
)
from policies.faults import RuleFault
from policies.keywords import Term, read_term
from policies.labels import tag_key
from policies.model import Confidence
from policies.patterns import Pattern, read_pattern
from policies.recipients.destinations import NOWHERE, Places, read_places
from policies.scanning import Detector, Scanner
from policies.text import fold

Path = tuple[str | int, ...]
_AboutMessage = (
    IdentifierCondition
    | KeywordsCondition
    | PatternCondition
    | VisibleOutsideCondition
    | SubjectTagCondition
    | AttachmentCondition
    | NotInspectableCondition
    | CalendarCondition
    | EncryptedCondition
)
_NOTHING = NotInspectable()  # stands for a condition with a fault; the rules are refused anyway


class Compilation:
    """Compiles the conditions of all rules; detectors that several rules want are kept once."""

    def __init__(self, lists: Mapping[str, tuple[str, ...]], mailing_lists: Places = NOWHERE) -> None:
        self.faults: list[RuleFault] = []
        self._lists = lists
        self._mailing_lists = mailing_lists
        self._terms: dict[str, tuple[Term, ...]] = {}
        self._detectors: dict[str | Term | Pattern, int] = {}
        self._enough: dict[str | Term | Pattern, int] = {}
        self._once = 0

    def scanner(self) -> Scanner:
        """Return one scanner for everything that the compiled conditions look for."""
        return Scanner(tuple(Detector(what, self._enough[what]) for what in self._detectors))

    def condition(self, spec: ConditionSpec, path: Path) -> Node:
        """Compile a condition; faults go to ``faults``."""
        node, about_recipient = self._condition(spec, path)
        return node if about_recipient else self._remembered(node)

    def fault(self, path: Path, sentence: str) -> None:
        """Note what is wrong."""
        self.faults.append(RuleFault(path, sentence))

    def _remembered(self, node: Node) -> Node:
        self._once += 1
        return Once(self._once, node)

    def _condition(self, spec: ConditionSpec, path: Path) -> tuple[Node, bool]:
        """Compile, and say whether the answer depends on the recipient."""
        match spec:
            case AnyCondition(any=parts):
                return self._tree(AnyOf, parts, (*path, "any"))
            case AllCondition(all=parts):
                self._contradiction(parts, (*path, "all"))
                return self._tree(AllOf, parts, (*path, "all"))
            case NotCondition(not_=part):
                node, about_recipient = self._condition(part, (*path, "not"))
                return Not(node), about_recipient
            case UnfamiliarCondition() | RecipientDomainCondition() | MailingListCondition():
                return self._about_recipient(spec, path), True
            case _:
                return self._about_message(spec, path), False

    def _tree(self, kind: "type[AnyOf | AllOf]", parts: tuple[ConditionSpec, ...], path: Path) -> tuple[Node, bool]:
        if not parts:
            self.fault(path, "this list of conditions is empty, so the rule could never do anything")
        compiled = [self._condition(part, (*path, number)) for number, part in enumerate(parts)]
        if not any(about_recipient for _, about_recipient in compiled):
            return kind(tuple(node for node, _ in compiled)), False
        return kind(
            tuple(node if about_recipient else self._remembered(node) for node, about_recipient in compiled)
        ), True

    def _about_recipient(
        self, spec: UnfamiliarCondition | RecipientDomainCondition | MailingListCondition, path: Path
    ) -> Node:
        match spec:
            case UnfamiliarCondition(unfamiliar=which):
                return Unfamiliar(organisation=which == "first-contact-organisation")
            case RecipientDomainCondition(recipient_domain=domains):
                return self._recipient_domain(domains, (*path, "recipient_domain"))
            case MailingListCondition():
                return self._mailing_list((*path, "mailing_list"))

    def _about_message(self, spec: _AboutMessage, path: Path) -> Node:
        node: Node
        match spec:
            case NotInspectableCondition():
                node = NotInspectable()
            case IdentifierCondition(identifier=name, confidence=confidence, at_least=at_least):
                node = Counted(name, frozenset({self._detector(name)}), at_least, Confidence[confidence.upper()])
            case KeywordsCondition(keywords=words, at_least=at_least):
                node = self._keywords(words, at_least, path)
            case PatternCondition(pattern=source, at_least=at_least):
                node = self._pattern(source, at_least, (*path, "pattern"))
            case VisibleOutsideCondition(visible_outside=count):
                node = VisibleOutside(count.at_least)
            case SubjectTagCondition(subject_tag=tag):
                node = self._subject_tag(tag, (*path, "subject_tag"))
            case CalendarCondition():
                node = IsCalendar()
            case EncryptedCondition():
                node = IsEncrypted()
            case AttachmentCondition():
                node = self._attachment(spec, (*path, "attachment"))
        return node

    def _subject_tag(self, tag: str, path: Path) -> Node:
        if not tag_key(tag):
            self.fault(path, 'this tag is empty: write one such as "[secure]"')
        return HasTag(tag, tag_key(tag))

    def _detector(self, what: str | Term | Pattern, enough: int = 1) -> int:
        self._enough[what] = max(enough, self._enough.get(what, 1))
        return self._detectors.setdefault(what, len(self._detectors))

    def _keywords(self, words: Words, at_least: int, path: Path) -> Node:
        key = (*path, "keywords")
        if isinstance(words, str):
            if words not in self._lists:
                close = difflib.get_close_matches(words, self._lists, 1)
                hint = f'did you mean "{close[0]}"? ' if close else ""
                self.fault(
                    key,
                    f'there is no list "{words}"; {hint}To look for the word itself write keywords = ["{words}"]',
                )
                return _NOTHING
            terms, name = self._list(words), f"keywords {words}"
        else:
            terms, name = self._read_terms(words, key), "keywords"
        if not terms:
            if not isinstance(words, str) and not words:
                self.fault(key, "this list of terms is empty, so the rule could never do anything")
            return _NOTHING
        if at_least > len(terms):
            self.fault(
                (*path, "at_least"),
                f"at_least asks for {at_least} different terms and the list has {len(terms)}, so the rule could never"
                " do anything",
            )
        detectors = frozenset(self._detector(term) for term in terms)
        return Counted(name, detectors, at_least, Confidence.LOW, terms=True)

    def _list(self, name: str) -> tuple[Term, ...]:
        if name not in self._terms:
            path = ("lists", name)
            if not self._lists[name]:
                self.fault(path, f'the list "{name}" has no terms, so rules with it could never do anything')
            self._terms[name] = self._read_terms(self._lists[name], path)
        return self._terms[name]

    def _read_terms(self, written: tuple[str, ...], path: Path) -> tuple[Term, ...]:
        terms: dict[tuple[str, bool, bool], Term] = {}
        for entry in written:
            try:
                term = read_term(entry)
            except ValueError as problem:
                self.fault(path, str(problem))
                continue
            terms.setdefault((term.body.casefold(), term.open_start, term.open_end), term)
        return tuple(terms.values())

    def _pattern(self, source: str, at_least: int, path: Path) -> Node:
        try:
            pattern = read_pattern(source)
        except ValueError as problem:
            self.fault(path, str(problem))
            return _NOTHING
        return Counted("pattern", frozenset({self._detector(pattern, at_least)}), at_least, Confidence.LOW)

    def _recipient_domain(self, domains: Words, path: Path) -> Node:
        try:
            return RecipientDomain(read_places(_listed(domains)))
        except ValueError as problem:
            self.fault(path, str(problem))
            return _NOTHING

    def _mailing_list(self, path: Path) -> Node:
        if self._mailing_lists == NOWHERE:
            self.fault(path, "organisation.mailing_lists names no address, so the rule could never do anything")
        return OnMailingList(self._mailing_lists)

    def _attachment(self, spec: AttachmentCondition, path: Path) -> Node:
        wanted = spec.attachment
        if not wanted.model_fields_set:
            self.fault(path, "say what the attachment must be: present = true, name, type or encrypted")
        names, types = (
            None if value is None else tuple(fold(glob).casefold().strip() for glob in _listed(value))
            for value in (wanted.name, wanted.type)
        )
        for key, globs in (("name", names), ("type", types)):
            if globs is not None and not all(globs or ("",)):
                self.fault((*path, key), f"{key} is empty, so the rule could never do anything")
        for glob in types or ():
            if "/" not in glob and "*" not in glob:
                self.fault((*path, "type"), f'"{glob}" is not a type: write one such as "application/pdf" or "image/*"')
        return HasAttachment(AttachmentShape(names or (), types or (), wanted.encrypted))

    def _contradiction(self, parts: tuple[ConditionSpec, ...], path: Path) -> None:
        for number, part in enumerate(parts):
            if isinstance(part, NotCondition) and part.not_ in parts:
                self.fault(
                    (*path, number), "this list asks for a condition and for its contrary, so it could never hold"
                )


def _listed(words: Words) -> tuple[str, ...]:
    return (words,) if isinstance(words, str) else words
