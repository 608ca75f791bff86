"""Large files through the portal's own page and web server: in little memory, readable nowhere, told when refused."""

import os
import re
import socket
import tracemalloc
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path

import httpx2
import pytest

from tests.letters import JANE, letter
from tests.portal_stage import Clock, Served, Stage

MIB = 1 << 20
BOUNDARY = "----WebKitFormBoundary7MA4YWxkTrZu0gW"
CANARY = b"canary-of-a-readers-file "
BLOCK = CANARY * (65536 // len(CANARY))


@pytest.fixture
def reader(tmp_path: Path) -> Iterator["Reader"]:
    """Somebody who has entered the code."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    served = Served(Stage(tmp_path, base_url=f"http://127.0.0.1:{port}", now=Clock().now), port)
    person = Reader(served)
    yield person
    person.client.close()
    served.close()


class Reader:
    """A browser without script on the page of a conversation."""

    def __init__(self, served: Served) -> None:
        self.client = httpx2.Client(base_url=served.stage.base_url, follow_redirects=True, timeout=60)
        path = served.stage.seal(letter(to=[JANE]))[JANE].path
        self.page = self.client.get(path)
        self.page = self.client.post(path, data={"token": self.value("token")})
        code = served.stage.codes[-1].code
        self.page = self.client.post(f"{path}/code", data={"token": self.value("token"), "code": code, "name": ""})
        assert self.page.status_code == 200
        self.path = self.page.url.path

    def value(self, name: str) -> str:
        """The value of a hidden field on the present page."""
        found = re.search(rf'name="{name}" value="([^"]*)"', self.page.text)
        assert found, f"no field {name}"
        return unescape(found[1])

    @property
    def text(self) -> str:
        """The page without markup."""
        return " ".join(unescape(re.sub(r"<[^>]*>", " ", self.page.text)).split())

    def attach(self, octets: int, halfway: Callable[[], None] = lambda: None) -> httpx2.Response:
        """Press *attach* with a text and a file of so many octets; ``halfway`` is called in the middle of the file."""
        fields = {name: self.value(name) for name in ("token", "ticket", "answer")} | {"text": "With a file"}
        head = "".join(self._head(name) + f"\r\n{value}\r\n" for name, value in fields.items())
        head += self._head("files", '; filename="scan.bin"') + "Content-Type: application/octet-stream\r\n\r\n"
        tail = "\r\n" + self._head("do") + f"\r\nattach\r\n--{BOUNDARY}--\r\n"

        def body() -> Iterator[bytes]:
            yield head.encode()
            for start in range(0, octets, len(BLOCK)):
                if start <= octets // 2 < start + len(BLOCK):
                    halfway()
                yield BLOCK[: octets - start]
            yield tail.encode()

        self.page = self.client.post(
            f"{self.path}/answer",
            content=body(),
            headers={
                "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
                "Content-Length": str(len(head) + octets + len(tail)),
            },
        )
        return self.page

    @staticmethod
    def _head(name: str, more: str = "") -> str:
        return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n'


def open_files() -> Iterator[bytes]:
    """The content of every ordinary file that this process has open, deleted ones included."""
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            if os.path.isfile(descriptor):  # noqa: PTH113  # follows to files that have no name any more
                yield descriptor.read_bytes()
        except OSError:
            continue


def test_largest_file_passes_in_little_memory(reader: Reader) -> None:
    """25 MiB less a little: attached, and at no moment more than four MiB of it in memory, sealed or not."""
    reader.client.get(reader.path)  # templates and the like are loaded by now
    tracemalloc.start()
    try:
        assert reader.attach(25 * MIB - 1000).status_code == 200
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert "scan.bin" in reader.text
    assert peak < 4 * MIB, peak


def test_file_on_its_way_is_readable_nowhere(reader: Reader, tmp_path: Path) -> None:
    """In the middle of an upload, and afterwards, no file holds a piece of it: not ours, not a temporary one."""
    seen = 0

    def look() -> None:
        nonlocal seen
        for content in open_files():
            seen += 1
            assert CANARY not in content
        for file in tmp_path.rglob("*"):
            if file.is_file():
                assert CANARY not in file.read_bytes()

    reader.attach(8 * MIB, look)
    assert "scan.bin" in reader.text
    assert seen > 0
    look()


@pytest.mark.parametrize("octets", [26 * MIB, 60 * MIB])
def test_too_large_is_told_on_our_page_and_the_text_is_kept(reader: Reader, octets: int) -> None:
    """The browser has sent all of it and sees the page with the form: what was typed is there, the file is not."""
    assert reader.attach(octets).status_code == 422
    assert "does not fit in and was not kept" in reader.text
    assert "With a file" in reader.page.text
    reader.page = reader.client.get(reader.path)
    assert "With a file" in reader.page.text
    assert "scan.bin" not in reader.text
