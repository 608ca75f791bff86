"""The words of the commands in four languages, folded so that capitals, accents and umlauts do not count.

A command is understood only when nothing but its own words, courtesies and addresses stand in the line. So a negation
("please do not recall ...") is never a command: none of its words is among the courtesies.
"""

import unicodedata
from dataclasses import dataclass
from enum import Enum, StrEnum, auto


class Verb(StrEnum):
    """What can be asked for. The value is the English word that answers and the audit use."""

    STATUS = "status"
    RESEND = "resend"
    RECALL = "recall"
    RESTORE = "restore"
    EXTEND = "extend"
    ADD = "add"
    REMOVE = "remove"
    SEND_SEALED = "send sealed"
    SEND = "send"
    DROP = "drop"
    TO = "to"


class Needs(Enum):
    """What must stand beside a verb."""

    NOTHING = auto()
    PERHAPS_ADDRESSES = auto()  # none means: everybody
    ADDRESSES = auto()
    DAYS = auto()


NEEDS = {
    Verb.STATUS: Needs.NOTHING,
    Verb.RESEND: Needs.PERHAPS_ADDRESSES,
    Verb.RECALL: Needs.PERHAPS_ADDRESSES,
    Verb.RESTORE: Needs.PERHAPS_ADDRESSES,
    Verb.EXTEND: Needs.DAYS,
    Verb.ADD: Needs.ADDRESSES,
    Verb.REMOVE: Needs.ADDRESSES,
    Verb.SEND_SEALED: Needs.NOTHING,
    Verb.SEND: Needs.NOTHING,
    Verb.DROP: Needs.NOTHING,
    Verb.TO: Needs.ADDRESSES,
}

# The first phrase of each is the one that our mails teach.
PHRASES: dict[str, dict[Verb, tuple[str, ...]]] = {
    "en": {
        Verb.STATUS: ("status", "state"),
        Verb.RESEND: ("resend", "send again", "new link"),
        Verb.RECALL: ("recall", "withdraw", "take back", "retract"),
        Verb.RESTORE: ("restore", "undo recall", "unrecall"),
        Verb.EXTEND: ("extend", "prolong"),
        Verb.ADD: ("add",),
        Verb.REMOVE: ("remove",),
        Verb.SEND_SEALED: ("send sealed", "seal"),
        Verb.SEND: ("send", "send plain"),
        Verb.DROP: ("drop", "discard", "do not send", "don't send", "dont send"),
        Verb.TO: ("to", "send to", "change to", "correct to"),
    },
    "nl": {
        Verb.STATUS: ("status", "stand"),
        Verb.RESEND: (
            "opnieuw sturen",
            "opnieuw versturen",
            "opnieuw verzenden",
            "stuur opnieuw",
            "verstuur opnieuw",
            "nieuwe link",
        ),
        Verb.RECALL: ("intrekken", "trek in", "terughalen", "haal terug", "terugroepen", "terugtrekken"),
        Verb.RESTORE: ("herstellen", "herstel"),
        Verb.EXTEND: ("verlengen", "verleng"),
        Verb.ADD: ("toevoegen", "voeg toe"),
        Verb.REMOVE: ("verwijderen", "verwijder"),
        Verb.SEND_SEALED: (
            "verzegeld versturen",
            "verzegeld verzenden",
            "verstuur verzegeld",
            "verzend verzegeld",
            "stuur verzegeld",
            "verzegel",
            "verzegelen",
        ),
        Verb.SEND: ("versturen", "verstuur", "verzenden", "verzend"),
        Verb.DROP: ("weggooien", "gooi weg", "niet versturen", "niet verzenden", "verstuur niet", "verzend niet"),
        Verb.TO: ("naar", "aan", "stuur naar", "verstuur naar", "wijzig in"),
    },
    "de": {
        Verb.STATUS: ("status", "stand"),
        Verb.RESEND: (
            "erneut senden",
            "nochmals senden",
            "noch einmal senden",
            "erneut schicken",
            "sende erneut",
            "neuer link",
        ),
        Verb.RECALL: (
            "zurückziehen",
            "zurückrufen",
            "zurückholen",
            "zurücknehmen",
            "ziehe zurück",
            "rufe zurück",
            "nimm zurück",
        ),
        Verb.RESTORE: ("wiederherstellen", "stelle wieder her"),
        Verb.EXTEND: ("verlängern", "verlängere"),
        Verb.ADD: ("hinzufügen", "füge hinzu"),
        Verb.REMOVE: ("entfernen", "entferne"),
        Verb.SEND_SEALED: (
            "versiegelt senden",
            "versiegelt schicken",
            "sende versiegelt",
            "schicke versiegelt",
            "versiegeln",
        ),
        Verb.SEND: ("senden", "sende", "absenden", "abschicken"),
        Verb.DROP: ("verwerfen", "verwirf", "nicht senden", "nicht schicken", "nicht absenden"),
        Verb.TO: ("an", "senden an", "sende an", "ändern in"),
    },
    "fr": {
        Verb.STATUS: ("état", "statut"),
        Verb.RESEND: ("renvoyer", "renvoyez", "renvoie", "envoyer à nouveau", "nouveau lien"),
        Verb.RECALL: ("rappeler", "rappelez", "rappelle", "reprendre"),
        Verb.RESTORE: ("rétablir", "rétablissez", "rétablis", "restaurer"),
        Verb.EXTEND: ("prolonger", "prolongez", "prolonge"),
        Verb.ADD: ("ajouter", "ajoutez", "ajoute"),
        Verb.REMOVE: ("retirer", "retirez", "retire", "supprimer", "supprimez"),
        Verb.SEND_SEALED: ("envoyer scellé", "envoyez scellé", "envoie scellé", "sceller", "scellez"),
        Verb.SEND: ("envoyer", "envoyez", "envoie"),
        Verb.DROP: ("abandonner", "abandonnez", "ne pas envoyer", "ne l'envoyez pas", "n'envoyez pas"),
        Verb.TO: ("à", "vers", "envoyer à", "envoyez à", "changer en"),
    },
}

_COURTESIES = """
    please pls kindly thanks thank you it the this message mail email e-mail
    graag alsjeblieft alstublieft aub svp bedankt dit bericht het deze
    bitte danke die diese den nachricht e-mail
    merci s'il s'il-vous-plait vous te plait le ce cet cette la courriel
    and en und et &
"""
_BEFORE_ADDRESSES = "to for from by at with aan voor van bij naar an für von bei mit à a de pour chez d' avec"
_BEFORE_DAYS = "by for another more further met om nog extra um weitere noch für de pour encore supplémentaires"
_REVOKE = "revoke ongeldig ungültig invalider"
_DAYS = {
    1: "d day days dag dagen tag tage tagen jour jours",
    7: "week weeks weken woche wochen semaine semaines",
}
_GREETINGS = (
    "hello hi dear good hallo hoi beste geachte dag goedemorgen goedemiddag goedenavond "
    "guten liebe lieber moin grüezi bonjour bonsoir salut"
)
# Small words that stand in nearly every sentence of one language and in no other of the four.
_TELLTALES = {
    "en": "the and you what how please can could would message with not my i is this thanks does for",
    "nl": "het een niet ik wat hoe kan kunt graag alsjeblieft bericht met mijn voor aan dit naar bedankt wil",
    "de": "der die das nicht ich was wie kann können bitte nachricht mit mein für und danke ist wird eine",
    "fr": "le les des je vous que comment peut pouvez merci message avec mon pour et est pas une ce du",
}


@dataclass(frozen=True, slots=True)
class Meaning:
    """What the words of a line stand for; ``languages`` are all in which they do."""

    verb: Verb
    languages: tuple[str, ...]
    revoke: bool = False


def fold(text: str) -> str:
    """Return text without capitals and accents, apostrophes all alike."""
    plain = unicodedata.normalize("NFKD", text.casefold().replace("\u2019", "'").replace("\u2018", "'"))
    return "".join(character for character in plain if not unicodedata.combining(character))


def meaning(words: tuple[str, ...], *, addresses: bool, number: bool) -> Meaning | None:
    """Return what folded words mean, None when they are not a command and nothing else.

    ``addresses`` and ``number`` say what else stands in the line: the small words that go with them are then allowed.
    """
    if found := _INDEX.get(words):
        return found
    kept = tuple(word for word in words if word not in COURTESIES)
    for allowed, when in ((frozenset[str](), True), (_ADDRESS_WORDS, addresses), (_DAY_WORDS, number)):
        bare = tuple(word for word in kept if word not in allowed)
        if not when or not bare:
            continue
        if (found := _INDEX.get(bare)) and (not allowed or _may_have(found.verb, addresses=addresses)):
            return found
        unrevoked = tuple(word for word in bare if word not in _REVOKE_WORDS)
        if len(unrevoked) < len(bare) and (found := _INDEX.get(unrevoked)) and found.verb is Verb.RESEND:
            return Meaning(found.verb, found.languages, revoke=True)
    return None


def beginning(words: tuple[str, ...]) -> Meaning | None:
    """Return the command that words begin with, though more follows: to help, never to obey."""
    kept = tuple(word for word in words if word not in COURTESIES)
    for length in range(min(len(kept), _LONGEST), 0, -1):
        if found := _INDEX.get(kept[:length]):
            return found
    return None


def days_in(word: str) -> int:
    """Return how many days a unit has (``weeks`` 7), 0 when the word is none."""
    return _UNITS.get(word, 0)


def is_greeting(words: tuple[str, ...]) -> bool:
    """Tell whether a line only says hello."""
    return 0 < len(words) <= 5 and words[0] in GREETINGS and beginning(words) is None  # noqa: PLR2004


def languages_of(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return the language that most of the small words belong to; empty when none is ahead of the others."""
    counts = {tag: sum(word in telltales for word in words) for tag, telltales in _SMALL_WORDS.items()}
    best = max(counts.values())
    ahead = tuple(tag for tag, count in counts.items() if count == best)
    return ahead if best and len(ahead) == 1 else ()


def _words(text: str) -> frozenset[str]:
    return frozenset(fold(text).split())


def _spellings(phrase: str) -> set[tuple[str, ...]]:
    """Return a phrase as it is typed with and without umlauts on the keyboard."""
    spelled_out = phrase.replace("ä", "ae").replace("ö", "oe").replace("ü", "ue")
    return {tuple(fold(phrase).split()), tuple(fold(spelled_out).split())}


def _may_have(verb: Verb, *, addresses: bool) -> bool:
    return NEEDS[verb] in ({Needs.ADDRESSES, Needs.PERHAPS_ADDRESSES} if addresses else {Needs.DAYS})


def _index() -> dict[tuple[str, ...], Meaning]:
    index: dict[tuple[str, ...], Meaning] = {}
    for tag, verbs in PHRASES.items():
        for verb, phrases in verbs.items():
            for spelling in {one for phrase in phrases for one in _spellings(phrase)}:
                known = index.get(spelling)
                if known is not None and known.verb is not verb:
                    raise AssertionError(f"{' '.join(spelling)} means two things")
                index[spelling] = Meaning(verb, (*known.languages, tag) if known else (tag,))
    return index


COURTESIES = _words(_COURTESIES)
GREETINGS = _words(_GREETINGS)
_ADDRESS_WORDS = _words(_BEFORE_ADDRESSES)
_DAY_WORDS = _words(_BEFORE_DAYS)
_REVOKE_WORDS = _words(_REVOKE)
_UNITS = {word: days for days, units in _DAYS.items() for word in _words(units)}
_SMALL_WORDS = {tag: _words(words) for tag, words in _TELLTALES.items()}
_INDEX = _index()
_LONGEST = max(map(len, _INDEX))
