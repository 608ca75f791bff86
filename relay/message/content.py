"""A Reading and the text of its attachments become what the policies judge: everything that a recipient could read."""

from policies.model import Attachment, Content, Text
from relay.message.cms import read_cms
from relay.message.extraction import Extracted, Extractor
from relay.message.extraction.sniffing import is_media
from relay.message.html_text import html_text, is_light
from relay.message.parts import Part, Reading
from relay.message.pgp import SIGNATURE, is_nothing_but_armour

_SIGNATURES = frozenset({"application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"})


def content_of(reading: Reading, extractor: Extractor, seconds: float) -> Content:
    """Return the content for `policies.engine.judge`. Never raises.

    ``seconds`` is the time for all attachments together; what is not read by then carries a problem. A body that the
    sender encrypted appears as an attachment with ``encrypted``; signatures and pictures in the text do not appear.
    """
    texts = list(reading.also)
    heavy: list[Part] = []
    files: list[Part] = []
    attachments: list[Attachment] = []
    for part in reading.parts:
        if part.kind in {"text", "html"}:
            _body(part, texts, heavy)
            if part.encrypted:
                attachments.append(Attachment(part.where, "application/pgp-encrypted", len(part.data), encrypted=True))
        elif not (part.kind == "inline" and is_media(part.data)) and not _is_signature(part):
            files.append(part)
    asked = [*heavy, *(part for part in files if not part.problem and not part.encrypted)]
    answers = dict(zip(map(id, asked), extractor.extract(asked, seconds) if asked else (), strict=True))
    problems = list(reading.problems)
    for part in heavy:
        answer = answers[id(part)]
        texts += answer.texts
        if answer.problem:
            problems.append(f"has a text that {answer.problem}")
    for part in files:
        answer = answers.get(id(part), Extracted(problem=part.problem, encrypted=part.encrypted))
        texts += answer.texts
        attachments.append(Attachment(part.name, part.type, len(part.data), answer.problem, answer.encrypted))
        attachments += [Attachment(f"{part.name}, {name}", "", size) for name, size in answer.members]
    return Content(reading.subject, tuple(texts), tuple(attachments), tuple(problems), encrypted=_is_encrypted(reading))


def reads_alone(reading: Reading) -> bool:
    """Tell whether `content_of` will judge this message without asking the helper: in well under a millisecond."""
    return all(
        part.kind in {"text", "html"} and all(is_light(text) or part.kind == "text" for text in (part.text, part.other))
        for part in reading.parts
    )


def _is_encrypted(reading: Reading) -> bool:
    """Whether nothing below the header can be read on the way: one word in clear, and the sender did half a thing."""
    return bool(reading.parts) and not reading.also and all(part.encrypted and _fills(part) for part in reading.parts)


def _fills(part: Part) -> bool:
    """Whether an encrypted block is all that the part shows."""
    return part.kind not in {"text", "html"} or is_nothing_but_armour(part.data)


def _body(part: Part, texts: list[Text], heavy: list[Part]) -> None:
    for text in filter(None, (part.text, part.other)):
        if part.kind == "text":
            texts.append(Text(part.where, text))
        elif is_light(text):
            texts.append(Text(part.where, html_text(text)))
        else:
            # Large or deeply nested HTML can hold a parser for seconds: that is the helper's business.
            heavy.append(Part("attachment", part.where, part.where, "text/html", text.encode("utf-8", "replace")))


def _is_signature(part: Part) -> bool:
    """Whether a part is a detached signature and nothing else: machines read it, people see a mark."""
    if part.type not in _SIGNATURES and not part.name.lower().endswith((".p7s", ".asc", ".sig")):
        return False
    return part.data.lstrip().startswith(SIGNATURE) or read_cms(part.data).signature
