"""Which reader for which bytes, and down into files that hold files. Runs in the helper only."""

from relay.message.extraction.archives import decompressed, open_zip, tar_members, zip_member, zip_members
from relay.message.extraction.budget import MAX_MEMBERS, Budget, UnreadableError
from relay.message.extraction.findings import Findings, Inner
from relay.message.extraction.foreign import DOC, MSG, PPT, XLS, read_foreign
from relay.message.extraction.office import is_office, read_office
from relay.message.extraction.opendocument import is_opendocument, read_opendocument
from relay.message.extraction.pdf import read_pdf
from relay.message.extraction.plain import read_calendar, read_html, read_json, read_printable, read_text, read_xml
from relay.message.extraction.rtf import read_rtf
from relay.message.extraction.sniffing import sniff
from relay.message.html_text import html_text
from relay.message.pgp import BEGIN, is_encrypted
from relay.message.reading import read_enclosed

_OLD_OFFICE = {"doc": DOC, "xls": XLS, "ppt": PPT, "msg": MSG}
_PACKED = {"gzip": (".gz", ".tgz"), "bzip2": (".bz2",), "xz": (".xz",)}
_OLE_OBJECT = "\x01Ole10Native".encode("utf_16_le")
_READERS = {
    "html": read_html,
    "xml": read_xml,
    "json": read_json,
    "calendar": read_calendar,
    "rtf": read_rtf,
    "metadata": read_printable,
}


def read_document(name: str, declared: str, data: bytes) -> Findings:
    """Read one attachment and all that is in it. Whatever cannot be read is in ``problem``; nothing is raised for it.

    ``declared`` is the media type that the message gives, which is believed last.
    """
    found = Findings()
    budget = Budget(len(data))
    try:
        _read(data, name, declared, found, (budget, 0))
    except UnreadableError as error:
        found.fail(error)
    return found


def _read(data: bytes, where: str, declared: str, found: Findings, place: tuple[Budget, int]) -> None:
    kind = sniff(data, where, declared)
    if kind in {"media", "empty"}:
        return
    if kind in _READERS:
        _READERS[kind](data, where, found)
    elif kind == "text":
        _plain(data, where, found)
    elif kind == "message":
        _message(data, where, found, place)
    else:
        _inside(_opened(kind, data, where, found, place[0]), where, found, place)


def _opened(kind: str, data: bytes, where: str, found: Findings, budget: Budget) -> list[Inner]:
    """Read what can hold other files; return those."""
    if kind == "zip":
        return _zip(data, where, found, budget)
    if kind == "pdf":
        return read_pdf(data, where, found, budget)
    if kind == "tar":
        return [Inner(name, content) for name, content in tar_members(data, budget)]
    if kind in _PACKED:
        inner = where.rpartition(", ")[2]
        for ending in _PACKED[kind]:
            inner = inner.removesuffix(ending)
        return [Inner(inner, decompressed(data, kind, budget))]
    if kind in _OLD_OFFICE:
        read_foreign(data, _OLD_OFFICE[kind], where, found)
        if _OLE_OBJECT in data:
            raise UnreadableError("holds an embedded object that was not opened")
        return []
    raise _refusal(kind, data)


def _refusal(kind: str, data: bytes) -> UnreadableError:
    if kind == "encrypted office":
        return UnreadableError("is protected with a password", encrypted=True)
    if is_encrypted(data):
        return UnreadableError("is encrypted", encrypted=True)
    if kind == "archive":
        return UnreadableError("is an archive of a kind that cannot be opened")
    return UnreadableError("is of a kind that cannot be read")


def _zip(data: bytes, where: str, found: Findings, budget: Budget) -> list[Inner]:
    with open_zip(data) as archive:
        if is_office(archive.namelist()):
            return read_office(data, archive, where, found, budget)
        if is_opendocument(archive, budget):
            return read_opendocument(archive, where, found, budget)
        files: list[Inner] = []
        if len(archive.infolist()) > MAX_MEMBERS:
            raise UnreadableError(f"holds more than {MAX_MEMBERS} files")
        for info in zip_members(archive):
            try:
                files.append(Inner(info.filename, zip_member(archive, info, budget)))
            except UnreadableError as error:
                found.members.append((info.filename, info.file_size))
                if budget.left <= 0:
                    raise
                found.fail(error, "" if error.encrypted else info.filename)
        return files


def _inside(files: list[Inner], where: str, found: Findings, place: tuple[Budget, int]) -> None:
    budget, depth = place
    for name, content, declared in files:
        found.members.append((name, len(content)))
        try:
            budget.member(depth + 1)
            _read(content, f"{where}, {name}", declared, found, (budget, depth + 1))
        except UnreadableError as error:
            found.fail(error, name)


def _plain(data: bytes, where: str, found: Findings) -> None:
    if BEGIN in data and is_encrypted(data):
        raise UnreadableError("is encrypted", encrypted=True)
    read_text(data, where, found)


def _message(data: bytes, where: str, found: Findings, place: tuple[Budget, int]) -> None:
    """Read a message within a message as the outer one is read: subject, texts, attachments, doubts."""
    reading = read_enclosed(data)
    found.add(f"{where}, subject", reading.subject)
    for problem in reading.problems:
        found.fail(UnreadableError(f"is a message that {problem}"))
    for text in reading.also:
        found.add(f"{where}, {text.where}", text.text)
    files: list[Inner] = []
    for part in reading.parts:
        if part.problem:
            found.fail(UnreadableError(part.problem, encrypted=part.encrypted), part.name)
        elif part.kind in {"text", "html"}:
            for text_ in filter(None, (part.text, part.other)):
                found.add(f"{where}, {part.where}", html_text(text_) if part.kind == "html" else text_)
        elif not part.encrypted:
            files.append(Inner(part.name, part.data, part.type))
        found.encrypted = found.encrypted or part.encrypted
    _inside(files, where, found, place)
