"""Names from mail: for pages, for file systems, for header fields."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.rendering.names import breakable, content_disposition, file_name, message_name, safe_type, visible


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("/", "attachment"),
        ("", "attachment"),
        ("...", "attachment"),
        (".htaccess", "htaccess"),
        ("con", "_con"),
        ("NUL.txt", "_NUL.txt"),
        ("com\u00b9.log", "_com\u00b9.log"),
        ("console.log", "console.log"),
        ("a\x00b\r\nSet-Cookie: x.txt", "ab Set-Cookie_ x.txt"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("a\u200b\u2066b\ufeff.txt", "ab.txt"),
        ('q"uo;te%41.txt', "q_uo;te%41.txt"),
        ("U\u0308bung.txt", "\u00dcbung.txt"),
        ("\u05d3\u05d5\u05d7.pdf", "\u05d3\u05d5\u05d7.pdf"),
        ("name. . .", "name"),
        ("a<b>c|d?e*f:g.txt", "a_b_c_d_e_f_g.txt"),
    ],
)
def test_file_names(name: str, safe: str) -> None:
    """What a name becomes on the reader's disk."""
    assert file_name(name) == safe


@pytest.mark.parametrize(
    ("subject", "name"),
    [
        ("Thursday", "Thursday.eml"),
        ("Appointment 12/03/2026", "Appointment 12_03_2026.eml"),
        ("Re: report.pdf", "Re_ report.pdf.eml"),
        ("", "message.eml"),
        ("...", "message.eml"),
        ("con", "_con.eml"),
    ],
)
def test_a_subject_as_a_file_name(subject: str, name: str) -> None:
    """What a whole mail is saved as: a slash in a subject leads nowhere."""
    assert message_name(subject) == name


def test_long_names_keep_their_suffix() -> None:
    """180 octets at most, cut between characters, and still a .docx."""
    name = file_name("\u00e9" * 500 + ".docx")
    assert len(name.encode()) <= 180
    assert name.endswith("\u00e9.docx")
    assert len(file_name("a." + "b" * 500).encode()) <= 180


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("report.pdf", 'attachment; filename="report.pdf"'),
        ("r\u00e9sum\u00e9.pdf", "attachment; filename=\"resume.pdf\"; filename*=UTF-8''r%C3%A9sum%C3%A9.pdf"),
        ("100%.txt", "attachment; filename=\"100_.txt\"; filename*=UTF-8''100%25.txt"),
        ("\u05d3\u05d5\u05d7.pdf", "attachment; filename=\"pdf\"; filename*=UTF-8''%D7%93%D7%95%D7%97.pdf"),
        ("\u65e5\u672c", "attachment; filename=\"attachment\"; filename*=UTF-8''%E6%97%A5%E6%9C%AC"),
    ],
)
def test_content_disposition(name: str, value: str) -> None:
    """RFC 6266 with the RFC 8187 form where the plain one does not carry the name."""
    assert content_disposition(name) == value


@given(st.text(max_size=400))
def test_no_name_breaks_out(name: str) -> None:
    """Whatever the sender writes: one header value of printable ASCII, no path, no control, never empty."""
    safe = file_name(name)
    assert safe
    assert len(safe.encode()) <= 181
    assert not re.search(r'[\x00-\x1f\x7f-\x9f/\\<>:"|?*\u202a-\u202e\u2066-\u2069]', safe)
    value = content_disposition(safe)
    assert re.fullmatch(r'attachment; filename="[ !#-\[\]-~]+"(; filename\*=UTF-8\'\'[\w.%~-]+)?', value, re.ASCII)


def test_visible_is_one_bounded_line() -> None:
    """Controls and direction marks go, line ends become blanks, the end is marked."""
    assert visible("a\r\nb\tc\u202ed\x1b[31m") == "a b cd[31m"
    assert (
        visible("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645")
        == "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"
    )
    assert visible("x" * 400) == "x" * 299 + "\u2026"


def test_breakable_escapes() -> None:
    """An address that is markup is shown, not run."""
    assert breakable("<b>@x.example") == "&lt;b&gt;@<wbr>x.<wbr>example"


def test_types() -> None:
    """Documents with scripts are sent as octets; what a phone can open keeps its type."""
    for declared in ("text/html", "image/svg+xml", "application/xhtml+xml", "text/xml", "", "a/b\r\nX: y"):
        assert safe_type(declared) == "application/octet-stream"
    assert safe_type("application/pdf") == "application/pdf"
