"""Forms with files, over real sockets: streamed, bounded, told plainly when refused; hostile bodies get no further."""

import contextlib
import hashlib
import http.client
import logging
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from portal.access.forms import FormError
from portal.access.multipart import Mark, PartHead, events_of
from portal.access.uploads import Submission, UploadLimits, Uploads
from portal.app import server_of

MIB = 1 << 20
LINE = "line"
TYPE = f"multipart/form-data; boundary={LINE}"
LIMITS = UploadLimits(files=25 * MIB, characters=1000, idle=0.5, total=5.0, at_once=2)


def part(name: str, content: bytes, file_name: str | None = None, more: str = "") -> bytes:
    """One part as a browser writes it."""
    named = "" if file_name is None else f'; filename="{file_name}"'
    return (
        f'--{LINE}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n{more}\r\n'.encode() + content + b"\r\n"
    )


END = f"--{LINE}--\r\n".encode()


def submission(body: Iterable[bytes], content_type: str = TYPE, form_octets: int = 10_000) -> Submission:
    return Submission(events_of(content_type, body, form_octets), form_octets)


def read(body: bytes, content_type: str = TYPE, step: int = 1 << 20) -> tuple[dict[str, tuple[str, ...]], list[object]]:
    """Read a whole form in pieces of ``step`` octets; return its fields, and name, type and content of its files."""
    form = submission((body[start : start + step] for start in range(0, len(body), step)), content_type)
    files: list[object] = [(file.name, file.type, b"".join(file.pieces)) for file in form.files()]
    return dict(form.fields), files


# --- the form itself ---


def test_fields_are_there_before_the_files_and_after_them() -> None:
    """What stands before a file is known while the file comes; a button after it is known at the end."""
    body = part("text", "Grüße".encode()) + part("to", b"a") + part("to", b"b") + part("files", b"octets", "a.txt")
    form = submission([body + part("do", b"send") + END])
    form.begin()
    assert form.fields == {"text": ("Grüße",), "to": ("a", "b")}
    [file] = [(file.name, b"".join(file.pieces)) for file in form.files()]
    assert file == ("a.txt", b"octets")
    assert form.fields["do"] == ("send",)


def test_any_split_of_the_body_gives_the_same_form() -> None:
    """Octets come from the network as they like: split after any number of octets, the form is the same."""
    content = b"\r\n--lin\r\n--lineX\r\n\r\n--\r--line-\r\n-\r"
    body = part("text", b"one\r\ntwo") + part("files", content, "a.bin", "Content-Type: image/png\r\n") + END
    expected = ({"text": ("one\r\ntwo",)}, [("a.bin", "image/png", content)])
    for step in range(1, 60):
        assert read(body, step=step) == expected, step


@given(
    content=st.binary(max_size=300),
    step=st.integers(1, 400),
    tail=st.sampled_from([b"", b"\r", b"\r\n", b"\r\n--line"]),
)
def test_content_is_what_was_sent(content: bytes, step: int, tail: bytes) -> None:
    """Whatever a file holds that is not the boundary comes out unchanged."""
    octets = content + tail
    if b"\r\n--" + LINE.encode() in b"\r\n" + octets + b"\r\n":
        return
    assert read(part("files", octets, "f") + END, step=step) == ({}, [("f", "", octets)])


@pytest.mark.parametrize(
    ("file_name", "name"),
    [
        ("report.pdf", "report.pdf"),
        ("Größe ✓.pdf", "Größe ✓.pdf"),
        ("C:\\Users\\jane\\report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("a%22b%0D%0Ac.txt", 'a"bc.txt'),
        ('a\\"b.txt', 'a"b.txt'),
        ("a;b=c.txt", "a;b=c.txt"),
    ],
)
def test_names_as_browsers_write_them(file_name: str, name: str) -> None:
    """UTF-8 and the escapes of HTML; folders are left out, line ends too."""
    [file] = read(part("files", b"x", file_name) + END)[1]
    assert file == (name, "", b"x")


def test_other_forms_of_a_name_are_not_believed() -> None:
    """RFC 7578 section 4.2: a part has one name; ``filename*`` is not one."""
    head = b'--line\r\nContent-Disposition: form-data; name="a"; filename="one"; filename*=UTF-8\'\'two\r\n\r\nx\r\n'
    assert read(head + END) == ({}, [("one", "", b"x")])


def test_input_without_a_choice_is_no_file() -> None:
    """Browsers send an empty part where nothing was chosen; an empty file that has a name is one."""
    body = part("files", b"", "", "Content-Type: application/octet-stream\r\n") + part("files", b"", "empty.txt") + END
    assert read(body) == ({}, [("empty.txt", "", b"")])


def test_files_that_nobody_reads_are_passed_over() -> None:
    """Half read, or not at all: the next one begins where it begins."""
    body = b"".join(part("files", bytes([65 + number]) * 5000, str(number)) for number in range(4)) + END
    form = submission(body[start : start + 700] for start in range(0, len(body), 700))
    heads = [(file.name, next(file.pieces)[:1] if file.name != "2" else b"") for file in form.files()]
    assert heads == [("0", b"A"), ("1", b"B"), ("2", b""), ("3", b"D")]


def test_urlencoded_forms_are_the_same_without_files() -> None:
    """A form without a file may come either way."""
    body = b"text=Gr%C3%BC%C3%9Fe%00&to=a&to=b&empty="
    assert read(body, "application/x-www-form-urlencoded; charset=utf-8") == (
        {"text": ("Grüße",), "to": ("a", "b"), "empty": ("",)},
        [],
    )


HEAD = b"--line\r\nContent-Disposition: form-data; name=a\r\n"
HOSTILE = [
    ("no body", b"", 400),
    ("no end", part("a", b"x"), 400),
    ("end of a file is missing", part("files", b"x" * 100, "f")[:-30], 400),
    ("another boundary", b"--other\r\n\r\n", 400),
    ("only the end is missing", part("a", b"x") + b"--line", 400),
    ("no name", b"--line\r\nContent-Disposition: form-data\r\n\r\nx\r\n" + END, 400),
    ("no disposition", b"--line\r\nContent-Type: text/plain\r\n\r\nx\r\n" + END, 400),
    ("another disposition", b'--line\r\nContent-Disposition: attachment; name="a"\r\n\r\nx\r\n' + END, 400),
    ("two dispositions", HEAD + HEAD.partition(b"\r\n")[2] + b"\r\nx\r\n" + END, 400),
    ("base64", HEAD + b"Content-Transfer-Encoding: base64\r\n\r\neA==\r\n" + END, 400),
    ("a long header", HEAD + b"X: " + b"x" * 5000 + b"\r\n\r\nx\r\n" + END, 400),
    ("a header without end", HEAD + b"X: " + b"x" * 100_000, 400),
    ("many headers", HEAD + b"".join(b"X%d: y\r\n" % n for n in range(20)) + b"\r\nx\r\n" + END, 400),
    ("a header that is none", HEAD + b"no colon here\r\n\r\nx\r\n" + END, 400),
    ("a bare line feed", b"--line\nContent-Disposition: form-data; name=a\n\nx\n--line--\n", 400),
    ("many parts", b"".join(part(str(number), b"") for number in range(400)) + END, 400),
    ("a long field", part("text", b"x" * 20_000) + END, 413),
    ("long fields together", b"".join(part(str(number), b"x" * 3000) for number in range(4)) + END, 413),
]


@pytest.mark.parametrize(
    ("body", "status"), [(body, status) for _, body, status in HOSTILE], ids=[one[0] for one in HOSTILE]
)
def test_hostile_forms_are_refused(body: bytes, status: int) -> None:
    """Whatever is no form of a browser is refused as such, in one piece or octet by octet."""
    for step in (1 << 20, 1 if len(body) < 6000 else 997):
        with pytest.raises(FormError) as caught:
            read(body, step=step)
        assert caught.value.status == status


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("", 415),
        ("application/json", 415),
        ("multipart/mixed; boundary=line", 415),
        ("multipart/form-data", 400),
        ("multipart/form-data; boundary=", 400),
        (f"multipart/form-data; boundary={'x' * 71}", 400),
        ('multipart/form-data; boundary="a\\"b"', 400),
        ("multipart/form-data; boundary=\u20ac", 400),
    ],
)
def test_other_bodies_are_refused(content_type: str, status: int) -> None:
    """Two kinds of body are forms, and a boundary is what RFC 2046 section 5.1.1 says."""
    with pytest.raises(FormError) as caught:
        read(b"", content_type)
    assert caught.value.status == status


@given(st.binary(max_size=400), st.integers(1, 50))
def test_only_a_form_error_leaves(noise: bytes, step: int) -> None:
    """Any octets are either a form or a FormError; events come in order."""
    for body in (noise, HEAD + b"\r\n" + noise, HEAD + noise + b"\r\n\r\n" + END, part("f", noise, "f") + noise):
        inside = False
        with contextlib.suppress(FormError):
            pieces = (body[start : start + step] for start in range(0, len(body), step))
            for event in events_of(TYPE, pieces, 1000):
                assert isinstance(event, PartHead) is not inside
                inside = event is not Mark.END


def test_refusals_tell_the_log_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """R45: the parser below would tell the log which octet of a form it did not like."""
    with caplog.at_level(logging.DEBUG), pytest.raises(FormError):
        read(HEAD + b"secret\x01: x\r\n")
    assert caplog.records == []


# --- over sockets ---


@dataclass
class Desk:
    """A portal with one form; ``work`` may be exchanged. ``took`` are digests of the files, and the fields."""

    uploads: Uploads
    port: int = 0
    took: list[tuple[str, int, str]] = field(default_factory=list)
    fields: list[dict[str, tuple[str, ...]]] = field(default_factory=list)
    failed: list[BaseException] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    work: Callable[[Submission], Response] | None = None

    async def endpoint(self, request: Request) -> Response:
        try:
            return await self.uploads.receive(request, self.work or self.take)
        except FormError as error:
            self.refused.append(error.status)
            return PlainTextResponse("refused", error.status, {"Connection": "close"})

    def take(self, form: Submission) -> Response:
        try:
            for file in form.files():
                digest, size = hashlib.sha256(), 0
                for piece in file.pieces:
                    digest.update(piece)
                    size += len(piece)
                self.took.append((file.name, size, digest.hexdigest()))
        except FormError as error:
            self.failed.append(error)
            raise
        self.fields.append(dict(form.fields))
        return PlainTextResponse("taken")

    def post(self, body: bytes | Iterator[bytes], content_type: str = TYPE) -> tuple[int, str]:
        """Send a form as a browser does and read the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("POST", "/", body, {"Content-Type": content_type})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def open(self, body: bytes, length: int) -> socket.socket:
        """Begin a form of ``length`` octets and send ``body`` of it."""
        one = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        one.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\n" % TYPE.encode())
        one.sendall(b"Content-Length: %d\r\n\r\n" % length + body)
        return one


@contextlib.contextmanager
def served(limits: UploadLimits = LIMITS) -> Iterator[Desk]:
    """Serve a desk with the portal's own web server."""
    desk = Desk(Uploads(limits))
    with socket.create_server(("127.0.0.1", 0)) as free:
        desk.port = free.getsockname()[1]
    server = server_of(Starlette(routes=[Route("/", desk.endpoint, methods=["POST"])]), "127.0.0.1", desk.port)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_for(lambda: server.started)
    try:
        yield desk
    finally:
        server.should_exit = True
        thread.join(10)


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something has happened; ten seconds at most."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


@pytest.fixture
def desk() -> Iterator[Desk]:
    """A desk with the limits of these tests."""
    with served() as one:
        yield one


def upload(octets: int, name: str = "big.bin") -> Iterator[bytes]:
    """A form with a text and one file of so many octets, piece by piece."""
    yield part("text", b"with a file")
    yield part("files", b"", name)[:-2]
    block = bytes(range(256)) * 256
    for start in range(0, octets, len(block)):
        yield block[: octets - start]
    yield b"\r\n" + END


def test_form_arrives_over_the_network(desk: Desk) -> None:
    """Fields and file, chunked or with a length."""
    content = b"x" * 300_000
    assert desk.post(part("text", b"hello") + part("files", content, "a.bin") + END) == (200, "taken")
    assert desk.post(upload(300_000)) == (200, "taken")
    assert [(name, size) for name, size, _ in desk.took] == [("a.bin", 300_000), ("big.bin", 300_000)]
    assert desk.took[0][2] == hashlib.sha256(content).hexdigest()
    assert desk.fields == [{"text": ("hello",)}, {"text": ("with a file",)}]


def test_25_mib_pass_in_little_memory(desk: Desk) -> None:
    """The largest file that is allowed is never whole in memory: two MiB at any time, for the server and this test."""
    tracemalloc.start()
    try:
        assert desk.post(upload(25 * MIB)) == (200, "taken")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [size for _, size, _ in desk.took] == [25 * MIB]
    assert peak < 2 * MIB, peak


def test_200_mib_are_refused_in_little_memory_and_told(desk: Desk) -> None:
    """Far too large: refused when the limit is passed; the browser, still sending, is told or cut off, never stored."""
    tracemalloc.start()
    try:
        with contextlib.suppress(ConnectionError):  # told while it still sends, it may see only the end
            assert desk.post(upload(200 * MIB))[0] == 413
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    wait_for(lambda: bool(desk.failed))
    assert desk.took == []
    assert peak < 2 * MIB, peak


def test_somewhat_too_large_is_told_after_the_rest_was_thrown_away(desk: Desk) -> None:
    """Over the limit but not endless: the browser can send all of it and then shows our page, not a broken connection."""
    assert desk.post(upload(40 * MIB)) == (413, "refused")
    assert desk.took == []


def test_work_that_has_seen_enough_answers_at_once(desk: Desk) -> None:
    """A form that is not ours is answered without working on its files; what still comes is thrown away."""

    def work(form: Submission) -> PlainTextResponse:
        form.begin()
        return PlainTextResponse("not yours", 403)

    desk.work = work
    assert desk.post(upload(20 * MIB)) == (403, "not yours")


def test_failure_of_the_work_comes_through(desk: Desk) -> None:
    """Whatever the work raises leaves through the door, after the rest of the body was read."""
    caught: list[BaseException] = []
    receive = desk.uploads.receive

    def fail(form: Submission) -> Response:
        for file in form.files():
            next(file.pieces)
            raise EOFError
        raise AssertionError

    async def watched(request: Request, work: Callable[[Submission], Response]) -> Response:
        try:
            return await receive(request, work)
        except EOFError as error:
            caught.append(error)
            return PlainTextResponse("failed", 500)

    desk.work = fail
    desk.uploads.receive = watched  # type: ignore[method-assign]
    assert desk.post(upload(5 * MIB)) == (500, "failed")
    assert len(caught) == 1


def test_browser_that_goes_away_ends_its_upload(desk: Desk) -> None:
    """A connection that breaks in the middle of a file is an error in the middle of that file, never its end.

    Nor is it called too large: a log with 413 would have the operator look for a limit.
    """
    begun = part("files", b"x" * 200_000, "half")[:-2]
    desk.open(begun, 10 * MIB).close()
    wait_for(lambda: bool(desk.refused))
    assert desk.refused == [400]
    assert [error.status for error in desk.failed if isinstance(error, FormError)] == [400]
    assert desk.took == []


def test_browser_that_stands_still_is_told(desk: Desk) -> None:
    """No octet for half a second (here): 408."""
    with desk.open(part("files", b"x" * 200_000, "slow")[:-2], 10 * MIB) as one:
        assert b" 408 " in one.recv(100)
    assert desk.took == []


def test_browser_that_drips_is_told() -> None:
    """Always an octet, never the end: the time for the whole form is bounded too."""
    limits = UploadLimits(files=MIB, characters=100, idle=5.0, total=0.6)
    with served(limits) as desk, desk.open(part("files", b"x" * 100_000, "drip")[:-2], MIB) as one:
        one.settimeout(0.05)
        answer = b""
        for _ in range(100):
            with contextlib.suppress(TimeoutError):
                answer = one.recv(100)
                break
            one.sendall(b"x")
        assert b" 408 " in answer


def test_pages_do_not_wait_for_uploads_that_send_nothing(desk: Desk) -> None:
    """Connections that only begin hold no thread: a form that comes whole is taken meanwhile."""
    waiting = [desk.open(b"--line\r\n", 1000) for _ in range(6)]
    try:
        assert desk.post(part("text", b"quick") + END) == (200, "taken")
    finally:
        for one in waiting:
            one.close()


def test_too_many_at_a_time_are_asked_to_come_again(desk: Desk) -> None:
    """Two are worked on at a time (here): the third waits, and is told when its turn does not come."""
    release, begun = threading.Event(), []

    def slow(_form: Submission) -> Response:
        begun.append(1)
        release.wait(20)
        return PlainTextResponse("taken")

    desk.work = slow
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda: statuses.append(desk.post(part("text", b"x") + END)[0])) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(begun) == 2)
    assert desk.post(part("text", b"x") + END)[0] == 503
    release.set()
    for thread in threads:
        thread.join(10)
    assert statuses == [200, 200]
