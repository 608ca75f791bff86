import binascii
import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import docx
import fpdf
import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.comments import Comment
from openpyxl.workbook.defined_name import DefinedName
from PIL import Image

from relay.message.extraction.documents import read_document
from relay.message.extraction.findings import Findings
from relay.message.extraction.sniffing import sniff

OFFICE_NAMESPACES = " ".join(
    f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in ("office", "text", "table")
)


def _zip(members: Mapping[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _workbook() -> bytes:
    book = openpyxl.Workbook()
    sheet: Any = book.active
    sheet["A1"], sheet["B1"] = "shown", 9434765919
    sheet["A2"] = "hidden row"
    sheet.row_dimensions[2].hidden = True
    sheet["A3"] = '=CONCATENATE("for", "mula")'
    sheet["A4"].comment = Comment("comment", "ann")
    sheet.oddHeader.center.text = "page head"
    hidden = book.create_sheet("Hidden sheet")
    hidden["A1"] = "in the hidden sheet"
    hidden.sheet_state = "veryHidden"
    book.defined_names["Secret"] = DefinedName("Secret", attr_text='"named value"')
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def _document() -> bytes:
    document = docx.Document()
    split = document.add_paragraph()
    for run in ("943 4", "76 59", "19"):
        split.add_run(run)
    document.add_paragraph().add_run("hidden text").font.hidden = True
    document.add_table(1, 2).cell(0, 1).text = "cell"
    document.sections[0].header.paragraphs[0].text = "head"
    document.sections[0].footer.paragraphs[0].text = "foot"
    document.add_comment(split.runs, text="comment", author="ann")
    document.core_properties.title = "title"
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def _opendocument(kind: str, content: str, manifest: str = "") -> bytes:
    xml = f'<?xml version="1.0"?><office:document-content {OFFICE_NAMESPACES}><office:body>{content}</office:body></office:document-content>'
    mimetype = f"application/vnd.oasis.opendocument.{kind}"
    return _zip({"mimetype": mimetype, "content.xml": xml, "META-INF/manifest.xml": manifest})


def _pdf(draw: Callable[[fpdf.FPDF], object]) -> bytes:
    document = fpdf.FPDF()
    document.add_page()
    document.set_font("helvetica", size=12)
    draw(document)
    return bytes(document.output())


def _picture() -> io.BytesIO:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 40)).save(buffer, "PNG")
    return buffer


def _form() -> bytes:
    """Return a PDF with one text field that somebody filled in; no library at hand writes one."""
    objects = [
        b"<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[4 0 R]>>>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]/Annots[4 0 R]>>",
        b"<</Type/Annot/Subtype/Widget/FT/Tx/T(nhs)/V(943 476 5919)/Rect[10 10 200 30]/P 3 0 R>>",
    ]
    out, places = b"%PDF-1.7\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return out + b"xref\n0 5\n0000000000 65535 f \n%btrailer<</Size 5/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (
        table,
        len(out),
    )


def _text(found: Findings) -> str:
    return "\n".join(text for _, text in found.texts)


@pytest.mark.parametrize(
    ("data", "texts"),
    [
        (
            _workbook(),
            [
                "shown\t9434765919",
                "hidden row",
                "in the hidden sheet",
                "Hidden sheet",
                "comment",
                "named value",
                "page head",
                '"mula"',
            ],
        ),
        (_document(), ["943 476 5919", "hidden text", "cell", "head", "foot", "comment", "title"]),
        (
            _opendocument(
                "text", "<office:text><text:p>943<text:span> 476</text:span><text:s/>5919</text:p></office:text>"
            ),
            ["943 476 5919"],
        ),
        (
            _opendocument(
                "spreadsheet",
                '<table:table table:name="Tab"><table:table-row table:visibility="collapse"><table:table-cell><text:p>cell</text:p></table:table-cell></table:table-row></table:table>',
            ),
            ["Tab", "cell"],
        ),
        (_pdf(lambda page: page.cell(text="943 476 5919")), ["943 476 5919"]),
        (_pdf(lambda page: page.text_annotation(10, 10, "a note")), ["a note"]),
        (_pdf(lambda page: page.embed_file(bytes=b"inside 943", basename="a.txt")), ["inside 943"]),
        (_pdf(lambda page: page.set_title("a title")), ["a title"]),
        (_form(), ["943 476 5919"]),
        (
            rb"{\rtf1\ansi{\fonttbl\f0 Arial;}\f0 943 \b 476\b0  5919{\v hidden}\par \u1087?\'e9{\*\generator x}}",
            ["943 476 5919hidden\n\u043f\u00e9"],
        ),
        (rb"{\rtf1\ansi\ansicpg932 \'93\'fa\uc2\u26412??}", ["\u65e5\u672c"]),
        (b"name,nhs\nann,943 476 5919\n", ["943 476 5919"]),
        (b'{"a": ["943\\u0020476 5919"]}', ["943 476 5919"]),
        (b'<?xml version="1.0"?><a n="attribute">9&#52;3<!-- comment --></a>', ["attribute", "943", "comment"]),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><text>943</text></svg>", ["943"]),
        (b"BEGIN:VCALENDAR\r\nSUMMARY:943 4\r\n 76 5919\r\nEND:VCALENDAR\r\n", ["943 476 5919"]),
        (b"<html><p>943<b> 476</b></p></html>", ["943 476"]),
        (b"Subject: sub\r\nFrom: a@example.org\r\nTo: b@example.org\r\n\r\nbody\r\n", ["sub", "body"]),
        (b"This attachment is not supported.\0", ["not supported."]),
        ("943 476".encode("utf_16"), ["943 476"]),
        ("943 476".encode("utf_16_le"), ["943 476"]),
        (_zip({"folder/a.txt": "in a zip", "b.docx": _document()}), ["in a zip", "943 476 5919"]),
        (gzip.compress(b"packed", mtime=0), ["packed"]),
        (gzip.compress(b"one", mtime=0) + gzip.compress(b"two", mtime=0), ["onetwo"]),
        (bz2.compress(b"packed"), ["packed"]),
        (lzma.compress(b"packed"), ["packed"]),
        (_zip({"a.zip": _zip({"b.zip": _zip({"c.txt": "deep"})})}), ["deep"]),
    ],
)
def test_text_is_found_in_every_kind_of_document(data: bytes, texts: list[str]) -> None:
    """By its octets, under any name, hidden or not; and nothing is left unread."""
    found = read_document("report", "application/octet-stream", data)
    assert found.problem == ""
    assert [text for text in texts if text not in _text(found)] == []


@pytest.mark.parametrize(
    ("name", "declared"), [("a.txt", "text/plain"), ("a.png", "image/png"), ("a.pdf", "application/pdf"), ("", "")]
)
def test_a_wrong_label_misleads_nobody(name: str, declared: str) -> None:
    """A workbook is read as a workbook whatever it is called."""
    assert "in the hidden sheet" in _text(read_document(name, declared, _workbook()))


def test_a_tar_in_a_gzip_names_its_files() -> None:
    """People find the place again: outer file, inner file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        info = tarfile.TarInfo("x.txt")
        info.size = 6
        archive.addfile(info, io.BytesIO(b"in tar"))
    found = read_document("a.tgz", "", buffer.getvalue())
    assert found.texts == [("a.tgz, a, x.txt", "in tar")]
    assert found.members == [("a", 10_240), ("x.txt", 6)]


OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000)


def _locked_zip() -> bytes:
    data = bytearray(_zip({"a.txt": "x"}))
    data[6] |= 1  # the flag in the member's own header
    data[data.index(b"PK\x01\x02") + 8] |= 1  # and in the directory
    return bytes(data)


@pytest.mark.parametrize(
    "data",
    [
        _pdf(lambda page: page.set_encryption("owner", "user")),
        _locked_zip(),
        OLE + "EncryptedPackage".encode("utf_16_le") + bytes(500),
        _opendocument("text", "", "<manifest><encryption-data/></manifest>"),
    ],
)
def test_a_password_is_told_apart_from_damage(data: bytes) -> None:
    """The sender encrypted it: a fact, and a problem as well, because it was not inspected."""
    found = read_document("report", "", data)
    assert found.encrypted
    assert found.problem == "is protected with a password"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (bytes(range(256)) * 10, "of a kind that cannot be read"),
        (b"MZ" + bytes(range(256)) * 10, "of a kind that cannot be read"),
        (b"\0\1" * 500, "of a kind that cannot be read"),
        (b"plain text in front" + bytes(range(256)) * 100, "of a kind that cannot be read"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(100), "archive of a kind"),
        (b"Rar!\x1a\x07\x00" + bytes(100), "archive of a kind"),
        (OLE + "WordDocument".encode("utf_16_le") + bytes(500), "damaged"),
        (OLE, "of a kind that cannot be read"),
        (b"%PDF-1.7 nothing else", "damaged"),
        (_document()[:-200], "damaged"),
        (_zip({"[Content_Types].xml": "<x/>", "word/document.xml": "<a><b>"}), "damaged"),
        (gzip.compress(b"x" * 1000, mtime=0)[:-20], "damaged"),
        (b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', "declares XML entities"),
        (
            _zip({"[Content_Types].xml": "<x/>", "word/document.xml": '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'}),
            "declares XML entities",
        ),
        (_pdf(lambda page: page.image(_picture(), 0, 0, 210, 297)), "scanned pages"),
        (_pdf(lambda page: page.image(_picture(), 0, 0, 20, 20)), "no text that can be read"),
        (rb"{\rtf1{\object\objemb{\*\objdata 0105}}text}", "embedded object"),
        (b"BEGIN:VCARD\r\nPHOTO;ENCODING=B:AAAA\r\nEND:VCARD\r\n", "file inside a calendar entry"),
        (_zip({"a.bin": bytes(range(256))}), 'holds "a.bin", which is of a kind'),
        (
            b"Subject: x\r\nFrom: a@example.org\r\nTo: b\r\nContent-Type: multipart/mixed\r\n\r\nx",
            "is a message that has parts without",
        ),
    ],
)
def test_what_cannot_be_read_is_a_problem(data: bytes, problem: str) -> None:
    """Never clean: unknown, damaged, dangerous, or without text where text is expected."""
    assert problem in read_document("report", "", data).problem


def _nested(depth: int) -> bytes:
    data = b"deep"
    for level in range(depth):
        data = _zip({f"{level}.zip" if level else "a.txt": data})
    return data


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (gzip.compress(bytes(300 << 20), 1, mtime=0), "unpacks to more"),
        (_zip({"a.txt": bytes(30 << 20)}), "unpacks to more"),
        (_zip({f"{number}.txt": "x" for number in range(1_001)}), "more than 1000 files"),
        (_nested(8), "nested more than 5 deep"),
        (b"[" * 200_000, ""),
        (b"x " * 11_000_000, "more text than can be judged"),
    ],
)
def test_bombs_are_defused(data: bytes, problem: str) -> None:
    """Ratio, size, number, depth and amount of text are bounded."""
    assert problem in read_document("report", "", data).problem


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 100,
        _picture().getvalue(),
        b"\xff\xd8\xff\xe0" + bytes(50),
        b"RIFF\0\0\0\0WAVE",
        b"ID3\3" + bytes(50),
        bytes(4) + b"ftypmp42" + bytes(50),
    ],
)
def test_pictures_and_sound_have_no_text(data: bytes) -> None:
    """They count as inspected: a logo does not seal every mail."""
    found = read_document("logo", "", data)
    assert (found.texts, found.problem) == ([], "")


def test_a_message_within_a_message_is_read_like_any() -> None:
    """Subject, text, attachments, their problems and what is encrypted."""
    mail = (
        b"Subject: outer\r\nFrom: a@example.org\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nwords\r\n"
        b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ndeep words\r\n"
        b"--b\r\nContent-Type: application/octet-stream; name=a.bin\r\n\r\n\x00\x01\x02\x03\x04\xff\xfe\r\n--b--\r\n"
    )
    found = read_document("outer.eml", "message/rfc822", mail)
    assert all(text in _text(found) for text in ("outer", "words", "inner", "deep words"))
    assert found.problem.startswith('holds "a.bin"')


@pytest.mark.parametrize("name", ["test.html", "a.txt", "a.pdf", "a.zip", "a.json", "a.bin", "a.eml"])
@pytest.mark.parametrize("data", [b"", b"\r\n"])
def test_an_empty_file_is_an_empty_text(name: str, data: bytes) -> None:
    """Whatever its name promises: there is nothing that a recipient could read."""
    found = read_document(name, "application/octet-stream", data)
    assert (found.texts, found.problem) == ([], "")


@pytest.mark.parametrize("data", [b"<html>\n", b"<html></html>", b"<!-- -->"])
def test_html_without_words_is_an_empty_text(data: bytes) -> None:
    """A page that shows nothing was read all the same."""
    found = read_document("test.html", "text/html", data)
    assert (found.texts, found.problem) == ([], "")


def test_free_text_in_the_place_of_a_message_is_judged_as_text() -> None:
    """Reports on delivery hold a sentence where the message was, also with a file in the old encoding in it."""
    found = read_document("message.eml", "message/rfc822", b"[943 476 5919 was here]\r\n\r\nand here\r\n")
    assert found.problem == ""
    assert found.texts == [("message.eml, text", "[943 476 5919 was here]\r\n\r\nand here\r\n")]
    lines = b"begin 644 a.txt\n" + binascii.b2a_uu(b"943 476 5919") + b"`\nend\n"
    assert "943 476 5919" in _text(read_document("message.eml", "message/rfc822", lines))


@pytest.mark.parametrize(
    "data",
    [
        b"free text\r\nSubject: x\r\n\r\nbody",
        b"free text\r\n\r\nContent-Transfer-Encoding: base64\r\n\r\nOTQz",
        b"free text\r\nContent-Type : text/html\r\n\r\nbody",
        b"free text\r\n\r\nSubject: =?utf-8?B?OTQz?=\r\n",
        b"free text\rSubject: x\r\rbody",
        b"free text\0\r\n\r\nbody",
        b"a" * (1 << 19),
    ],
)
def test_text_that_could_be_a_broken_message_is_a_problem(data: bytes) -> None:
    """Where a program could find fields in it, or something to decode, its octets may not be all that is shown."""
    assert read_document("message.eml", "message/rfc822", data).problem.startswith("is a message that has")


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(
        [
            _document(),
            _workbook(),
            _zip({"a.txt": "x" * 50}),
            _form(),
            rb"{\rtf1 a{\b b}\u12?\bin3 xyz}",
            gzip.compress(b"x" * 99, mtime=0),
        ]
    ),
    st.lists(st.tuples(st.integers(0, 20_000), st.binary(min_size=1, max_size=4)), max_size=6),
)
def test_mutated_documents_are_read_or_a_problem(data: bytes, changes: list[tuple[int, bytes]]) -> None:
    """Changed octets anywhere raise nothing but the reader's own refusal."""
    for position, octets in changes:
        place = position % len(data)
        data = data[:place] + octets + data[place + len(octets) :]
    assert isinstance(read_document("report", "", data), Findings)


@given(st.binary(max_size=200))
def test_any_octets_have_a_kind(data: bytes) -> None:
    """Sniffing never raises."""
    assert sniff(data, "a", "")
