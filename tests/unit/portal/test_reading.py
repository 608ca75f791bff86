"""The conversation and its files: what is shown, what is sent, and what is refused when it was changed on disk."""

import base64
import re

import pytest
from sqlalchemy import Connection, select, update

from relay.clock import id_from_text
from relay.store.tables import AuditEvent, Part, Sealed, Stanza
from tests.letters import ANNA, JANE, XLSX, letter, photograph
from tests.portal_stage import Stage
from tests.unit.portal.guest import Guest

_PART = Part.__table__  # type: ignore[attr-defined]
PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"
    b"\x00\x00\x00\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\x00\x05\x00\x01\xff\x89\x99=\x1d\x00\x00\x00\x00IEND\xaeB`\x82"
)


def test_the_page_says_who_wrote_when_and_what(stage: Stage, guest: Guest) -> None:
    """Sender, date in the organisation's zone, recipients, subject, text, files with type and size."""
    sent = letter(
        to=[JANE, "john@example.net"],
        cc=["clinic@example.com"],
        subject="Results <3>",
        text="Dear Jane,\n\nall is well & good.\nhttps://www.example.org/aftercare.\n\n> your question\n",
        attachments=[("r\u00e9sum\u00e9.pdf", "application/pdf", b"%PDF" + bytes(3000))],
    )
    guest.read(stage.seal(sent)[JANE])
    assert "Results <3>" in guest.text
    assert f"From Anna Baker {ANNA}" in guest.text.replace("@ ", "@").replace(". ", ".")
    assert "Sent 22 November 2026, 12:00 GMT" in guest.text
    for address in (ANNA, JANE, "john@example.net", "clinic@example.com"):
        assert address in guest.text.replace("@ ", "@").replace(". ", ".")
    assert '<a href="https://www.example.org/aftercare" rel="noopener noreferrer nofollow"' in guest.page.text
    assert "<blockquote><p" in guest.page.text
    assert "PDF r\u00e9sum\u00e9.pdf 2.9 KB" in guest.text
    assert "iframe" not in guest.page.text, "there is no HTML to show"


def test_formatted_mail_stands_in_a_sandboxed_document(stage: Stage, guest: Guest) -> None:
    """The frame and the document's own policy both forbid scripts; the text version is one click away."""
    html = '<p onclick="x()">Dear <b>Jane</b></p><script>alert(1)</script><img src="cid:logo">'
    path = guest.read(stage.seal(letter(to=[JANE], text="Dear Jane\n", html=html))[JANE])
    frame = re.search(r'<iframe [^>]*src="([^"]+)"[^>]*sandbox="([^"]+)"', guest.page.text)
    assert frame
    assert frame[2] == "allow-popups allow-popups-to-escape-sandbox"
    document = guest.get(frame[1])
    policy = document.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; img-src data:;")
    assert "frame-ancestors 'self'" in policy
    assert "script" not in document.text
    assert "<p>Dear <b>Jane</b></p>" in document.text
    guest.get(f"{path}?view=text")
    assert "iframe" not in guest.page.text
    assert "Dear Jane" in guest.text


def test_mail_that_has_only_html_can_be_read_as_text(stage: Stage, guest: Guest) -> None:
    """The words of the HTML are the plain text."""
    sent = letter(to=[JANE]).replace(b"text/plain", b"text/html").replace(b"Shall we", b"<h1>Tea</h1><p>Shall<br>we")
    path = guest.read(stage.seal(sent)[JANE])
    guest.get(f"{path}?view=text")
    assert "Tea Shall we meet on Thursday at ten?" in guest.text


def test_attachments_arrive_identical(stage: Stage, guest: Guest) -> None:
    """Small ones from the row, large ones from the blob store; the original is the mail as it was sent."""
    large, small = photograph(3_000_000), b"a,b\r\n1,2\r\n"
    sent = letter(to=[JANE], attachments=[("photo.png", "image/png", large), ("table.csv", "text/csv", small)])
    guest.read(stage.seal(sent)[JANE])
    paths = {name: guest.path_of(name) for name in ("photo.png", "table.csv", "Save the original message")}
    for name, content, media_type in (
        ("photo.png", large, "image/png"),
        ("table.csv", small, "text/csv"),
        ("Save the original message", sent, "message/rfc822"),
    ):
        answer = guest.get(paths[name])
        assert answer.content == content
        assert answer.headers["Content-Type"] == media_type
        assert answer.headers["Content-Disposition"].startswith("attachment; ")
        assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        head = guest.client.head(paths[name])
        assert int(head.headers["Content-Length"]) == len(content)
        assert head.content == b""


@pytest.mark.parametrize(
    ("value", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=65535-65536", 65535, 65537),
        ("bytes=-7", 199_993, 200_000),
        ("bytes=1-", 1, 200_000),
    ],
)
def test_a_range_is_exact(stage: Stage, guest: Guest, value: str, start: int, stop: int) -> None:
    """Any single range, across chunks too, gives those octets and says so."""
    content = photograph(200_000)
    guest.read(stage.seal(letter(to=[JANE], attachments=[("p.bin", "application/x-thing", content)]))[JANE])
    path = guest.path_of("p.bin")
    answer = guest.get(path, Range=value)
    assert answer.status_code == 206
    assert answer.content == content[start:stop]
    assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/200000"
    assert answer.headers["Content-Type"] == "application/octet-stream"
    etag = answer.headers["ETag"]
    assert guest.get(path, Range=value, If_Range=etag).status_code == 206
    assert guest.get(path, Range=value, If_Range='"other"').content == content
    beyond = guest.get(path, Range="bytes=200000-")
    assert beyond.status_code == 416
    assert beyond.headers["Content-Range"] == "bytes */200000"


def test_an_empty_attachment(stage: Stage, guest: Guest) -> None:
    """Nothing is a file too."""
    guest.read(stage.seal(letter(to=[JANE], attachments=[("empty.txt", "text/plain", b"")]))[JANE])
    answer = guest.get(guest.path_of("empty.txt"))
    assert (answer.status_code, answer.content) == (200, b"")


def test_a_part_of_another_message_is_not_here(stage: Stage, guest: Guest) -> None:
    """Ids of other messages and parts, and nonsense, are not found; they open nothing."""
    mine = guest.read(stage.seal(letter(to=[JANE], attachments=[("mine.csv", "text/csv", b"1")]))[JANE])
    path = guest.path_of("mine.csv")
    other = Guest(stage)
    other.read(stage.seal(letter(to=[JANE], attachments=[("other.csv", "text/csv", b"2")]))[JANE])
    foreign = other.path_of("other.csv").split("/")
    *head, message, _, part = path.split("/")
    for wanted in (
        "/".join([*head, foreign[-3], "part", foreign[-1]]),
        "/".join([*head, message, "part", foreign[-1]]),
        "/".join([*head, message, "part", "x"]),
        "/".join([*head, "x", "part", part]),
        f"{mine}/x/formatted",
    ):
        assert guest.get(wanted).status_code == 404
    assert Guest(stage).get(path).status_code == 403


def flip(stage: Stage, part_id: bytes) -> None:
    """Change one bit of a part on disk."""

    def work(conn: Connection) -> None:
        content = bytearray(conn.execute(select(_PART.c.content).where(_PART.c.id == part_id)).scalar_one())
        content[-1] ^= 1
        conn.execute(update(_PART).where(_PART.c.id == part_id).values(content=bytes(content)))

    stage.store.run(work)


def audited(stage: Stage) -> list[str]:
    """The events of the audit."""
    audit = AuditEvent.__table__  # type: ignore[attr-defined]
    with stage.store.read() as conn:
        return list(conn.execute(select(audit.c.event)).scalars())


def test_a_changed_file_is_never_sent(stage: Stage, guest: Guest) -> None:
    """One flipped bit: an error page with a number, no octet of the file, a line in the audit."""
    guest.read(stage.seal(letter(to=[JANE], attachments=[("a.csv", "text/csv", b"secret,cells\r\n" * 20)]))[JANE])
    path = guest.path_of("a.csv")
    flip(stage, id_from_text(path.rpartition("/")[2]))
    answer = guest.get(path)
    assert answer.status_code == 500
    assert re.search(r"name this number to Example Council: [a-z2-7]{10}\b", guest.text)
    assert "cells" not in answer.text
    assert audited(stage)[-1] == "part not opened"


@pytest.mark.parametrize("what", ["text", "manifest"])
def test_a_changed_text_or_manifest_is_never_shown(stage: Stage, guest: Guest, what: str) -> None:
    """A message that was changed on disk is left out, told to the reader and recorded."""
    draft = stage.seal_draft(letter(to=[JANE], text="Take two pills.\n"))
    path = guest.read(draft.links[JANE])
    sealed = Sealed.__table__  # type: ignore[attr-defined]
    with stage.store.read() as conn:
        manifest = conn.execute(select(sealed.c.manifest_part)).scalar_one()
        parts = conn.execute(select(_PART.c.id).where(_PART.c.id != manifest)).scalars().all()
    for part_id in parts if what == "text" else [manifest]:
        flip(stage, part_id)
    assert guest.get(path).status_code == 200
    assert "Take two pills" not in guest.text
    assert "A message cannot be shown because it was damaged" in guest.text
    assert audited(stage)[-1] == "message not opened"


def test_a_change_in_the_middle_breaks_the_download(stage: Stage, guest: Guest) -> None:
    """The verified beginning was sent; then the connection breaks, so that nobody takes the file for whole."""
    content = photograph(1_000_000)
    guest.read(stage.seal(letter(to=[JANE], attachments=[("p.png", "image/png", content)]))[JANE])
    path = guest.path_of("p.png")
    [blob] = [
        file
        for file in stage.folder.rglob("blobs/**/*")
        if file.is_file() and 900_000 < file.stat().st_size < 1_200_000
    ]
    octets = bytearray(blob.read_bytes())
    octets[700_000] ^= 1
    blob.write_bytes(octets)
    answer = guest.client.get(path)
    assert len(answer.content) < len(content)
    assert content.startswith(answer.content)
    assert int(answer.headers["Content-Length"]) == len(content)
    assert "part not opened" in audited(stage)


def test_a_damaged_message_does_not_hide_the_page(stage: Stage, guest: Guest) -> None:
    """A stanza that no longer opens: the reader is told plainly, with somebody to ask."""
    path = guest.read(stage.seal(letter(to=[JANE]))[JANE])
    stanzas = Stanza.__table__  # type: ignore[attr-defined]
    stage.store.run(lambda conn: conn.execute(update(stanzas).values(ct=bytes(108))))
    assert guest.get(path).status_code == 200
    assert "A message cannot be shown because it was damaged" in guest.text


def test_a_hostile_file_name_stays_a_name(stage: Stage, guest: Guest) -> None:
    """Paths, devices and direction marks in a file name reach neither page nor header."""
    names = ["../../etc/passwd", "C:\\windows\\nul.txt", "invoice\u202efdp.exe", "a" * 300 + ".docx"]
    attachments = [(name, XLSX, b"x") for name in names]
    guest.read(stage.seal(letter(to=[JANE], attachments=attachments))[JANE])
    page = guest.page.text
    paths = re.findall(r'<a href="([^"]+)" download><span', page)
    assert len(paths) == len(names)
    for path in paths:
        value = guest.get(path).headers["Content-Disposition"]
        assert re.fullmatch(r'attachment; filename="[ !#-\[\]-~]{1,200}"(; filename\*=UTF-8\'\'[\w.%~-]+)?', value)
        assert ".." not in value
        assert "/" not in value.removeprefix("attachment; ").replace("UTF-8''", "")
    assert "\u202e" not in page
    assert re.search(r"a{100,}\.docx\b", page), "a long name is shown, and saved, with its suffix"
    assert guest.get(paths[3]).headers["Content-Disposition"].endswith('a.docx"')


def test_inline_images_are_shown_as_data_of_a_type_of_ours(stage: Stage, guest: Guest) -> None:
    """A cid image becomes a data address with the type its bytes tell; it is not listed as a file as well."""
    sent = (
        b"From: anna.baker@example.org\r\nTo: jane@example.net\r\nSubject: Logo\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/related; boundary="sep"\r\n\r\n--sep\r\nContent-Type: text/html\r\n\r\n'
        b'<p>Look: <img src="cid:logo@x" alt="our logo"></p><img src="cid:fake@x" alt="a page">\r\n--sep\r\n'
        b"Content-Type: image/svg+xml\r\nContent-ID: <logo@x>\r\nContent-Disposition: inline; filename=logo.svg\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(PNG).replace(b"\n", b"\r\n")
        + b"--sep\r\nContent-Type: image/png\r\nContent-ID: <fake@x>\r\nContent-Disposition: inline\r\n\r\n"
        b"<svg onload=alert(1)>\r\n--sep--\r\n"
    )
    guest.read(stage.seal(sent)[JANE])
    assert "logo.svg" not in guest.text
    frame = re.search(r'<iframe [^>]*src="([^"]+)"', guest.page.text)
    assert frame
    document = guest.get(frame[1]).text
    assert 'src="data:image/png;base64,iVBORw0' in document
    assert "Image not shown: a page" in document
    assert "svg" not in document
