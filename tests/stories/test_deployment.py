"""What stands in deploy/: web servers that keep links out of their logs, and a unit that systemd understands."""

import getpass
import http.server
import json
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
import tomllib
import zipfile
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path

import pytest
import trustme

from relay.config.values import SQLITE
from tests.gateway import free_port, wait_for_port

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SECRET = "q3k7mzv2tq3k7mzv2tq3k7mzv2tq3k7mzv2tq3k7mzv2tabcdef"
LINK = f"/p/aaaaaaaaaaaaaaaaaaaaaaaaaa/{SECRET}"


class Portal(http.server.ThreadingHTTPServer):
    """Stands where the portal listens; keeps what it was asked and when the first octets of a body came."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Page)
        self.asked: list[tuple[str, str, str]] = []
        self.began = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Page(http.server.BaseHTTPRequestHandler):
    """Answers everything with one line."""

    server: Portal

    def do_GET(self) -> None:
        host, client = self.headers.get("Host", ""), self.headers.get("X-Forwarded-For", "")
        self.server.asked.append((self.path, host, client))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.rfile.read(1)
        self.server.began.set()
        self.rfile.read(length - 1)
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def portal() -> Iterator[Portal]:
    """A stand-in for the portal."""
    server = Portal()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def nginx(tmp_path: Path, portal: Portal) -> Iterator[tuple[int, Path, ssl.SSLContext]]:
    """A running nginx with our server block: its port, the folder of its logs, and a client's TLS context."""
    authority = trustme.CA()
    certificate = authority.issue_cert("letter.example.org")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    https, plain = free_port(), free_port()
    block = (DEPLOY / "nginx" / "letterlock.conf").read_text()
    block = re.sub(r"/etc/letsencrypt/live/letter\.example\.org/\w+\.pem", str(tmp_path / "both.pem"), block)
    block = re.sub(r"listen \[::\]:\d+( ssl)?;", "", block)
    block = block.replace("listen 443 ssl", f"listen 127.0.0.1:{https} ssl").replace(
        "listen 80", f"listen 127.0.0.1:{plain}"
    )
    block = block.replace("127.0.0.1:8080", f"127.0.0.1:{portal.server_port}")
    logs = tmp_path / "logs"
    logs.mkdir()
    places = "".join(
        f"{name}_temp_path {tmp_path / name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (tmp_path / "nginx.conf").write_text(
        f"daemon off; user {getpass.getuser()}; pid {tmp_path / 'pid'};\n"
        f"error_log {logs / 'error.log'} info;\nevents {{}}\n"
        f"http {{\n{places}access_log {logs / 'access.log'} combined;\n{block}\n}}\n"
    )
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    process = subprocess.Popen([program, "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")])
    wait_for_port(https, process)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    yield https, logs, context
    process.terminate()
    process.wait(10)


def ask(port: int, context: ssl.SSLContext, path: str, client: str = "127.0.0.1") -> int:
    """Ask nginx for a path as a browser would."""
    connection = HTTPSConnection("127.0.0.1", port, context=context, timeout=10)
    connection.sock = context.wrap_socket(_connect(port, client), server_hostname="letter.example.org")
    connection.request("GET", path, headers={"Host": "letter.example.org"})
    status = connection.getresponse().status
    connection.close()
    return status


def _connect(port: int, client: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 10, source_address=(client, 0))


def test_nginx_keeps_links_out_of_its_logs(nginx: tuple[int, Path, ssl.SSLContext], portal: Portal) -> None:
    """The portal gets path, host and client; the logs have the other pages, and never a link, not even on errors."""
    port, logs, context = nginx
    assert ask(port, context, LINK) == 200
    assert ask(port, context, f"{LINK}/code?x=1") == 200
    assert ask(port, context, "/left") == 200
    assert portal.asked[0] == (LINK, "letter.example.org", "127.0.0.1")
    portal.shutdown()
    portal.server_close()
    assert ask(port, context, LINK) == 502
    assert ask(port, context, "/left") == 502
    deadline = time.monotonic() + 10
    while "/left" not in (logs / "access.log").read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    written = "".join(file.read_text() for file in logs.iterdir())
    assert "/left" in written
    assert SECRET not in written


def test_nginx_keeps_the_state_of_the_gateway_from_strangers(
    nginx: tuple[int, Path, ssl.SSLContext], portal: Portal
) -> None:
    """The monitor of this machine is answered, however it writes the path; nobody else gets it as far as the portal."""
    port, _, context = nginx
    assert ask(port, context, "/healthz") == 200
    assert {ask(port, context, path, "127.0.0.2") for path in ("/healthz", "/%68ealthz", "/healthz?x=1")} == {403}
    assert ask(port, context, "/left", "127.0.0.2") == 200
    assert [path for path, _, client in portal.asked if client == "127.0.0.2"] == ["/left"]


def test_nginx_hands_a_body_on_while_it_arrives(
    nginx: tuple[int, Path, ssl.SSLContext], portal: Portal, tmp_path: Path
) -> None:
    """A reader's file reaches the portal before the reader has sent all of it, and no file of nginx holds any of it."""
    port, _, context = nginx
    size = 4 << 20
    with context.wrap_socket(_connect(port), server_hostname="letter.example.org") as connection:
        head = f"POST /c/visit/answer HTTP/1.1\r\nHost: letter.example.org\r\nContent-Length: {size}\r\n\r\n"
        connection.sendall(head.encode() + bytes(size // 2))
        assert portal.began.wait(10)
        assert [file for file in (tmp_path / "client_body").rglob("*") if file.is_file()] == []
        connection.sendall(bytes(size - size // 2))
        assert connection.recv(12) == b"HTTP/1.1 200"


def test_caddy_keeps_links_out_of_its_log(tmp_path: Path, portal: Portal) -> None:
    """Caddy's access log names the other pages and cuts a link to its first letters; strangers see no /healthz."""
    port, log = free_port(), tmp_path / "access.log"
    text = (DEPLOY / "caddy" / "Caddyfile").read_text()
    text = text.replace("letter.example.org {", f"http://127.0.0.1:{port} {{", 1)
    text = text.replace("127.0.0.1:8080", f"127.0.0.1:{portal.server_port}")
    text = text.replace("/var/log/caddy/letterlock.log", str(log))
    (tmp_path / "Caddyfile").write_text("{\n\tadmin off\n}\n" + text)
    process = subprocess.Popen(
        ["caddy", "run", "--config", str(tmp_path / "Caddyfile"), "--adapter", "caddyfile"],
        stderr=subprocess.DEVNULL,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )
    try:
        wait_for_port(port, process)
        for path in (LINK, "/left"):
            connection = HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", path, headers={"Referer": f"https://x{LINK}"})
            assert connection.getresponse().status == 200
            connection.close()
        connection = HTTPConnection("127.0.0.1", port, timeout=10, source_address=("127.0.0.2", 0))
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 403
        connection.close()
        deadline = time.monotonic() + 10
        while (not log.exists() or "/healthz" not in log.read_text()) and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        process.terminate()
        process.wait(10)
    assert portal.asked[0][0] == LINK
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {line["request"]["uri"] for line in lines} == {"/p/-", "/left", "/healthz"}
    assert SECRET not in log.read_text()


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    """Every line of the unit is known to systemd, and what is exposed is little."""
    unit = (DEPLOY / "systemd" / "letterlock.service").read_text()
    (tmp_path / "letterlock.service").write_text(unit.replace("/opt/letterlock/bin/letterlock", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / "letterlock.service")], capture_output=True, text=True, check=False
    )
    said = [line for line in (done.stdout + done.stderr).splitlines() if "letterlock" in line]
    assert (done.returncode, said) == (0, [])
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=25", str(tmp_path / "letterlock.service")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_unit_fits_the_steps_that_install_it() -> None:
    """Account, program and configuration are those of docs/operations.md; nothing that it needs waits for its start."""
    unit = (DEPLOY / "systemd" / "letterlock.service").read_text()
    page = (ROOT / "docs" / "operations.md").read_text().partition("### As a service")[2].partition("## What runs")[0]
    steps = "\n".join(re.findall(r"```sh\n(.*?)```", page, re.DOTALL))
    [program, _, configuration, _] = re.findall(r"^ExecStart=(.+)$", unit, re.MULTILINE)[0].split()
    assert f"ln -s {program} /usr/local/bin/" in steps
    assert f"letterlock -c {configuration} init" in steps
    [user], [state] = (re.findall(rf"^{name}=(.+)$", unit, re.MULTILINE) for name in ("User", "StateDirectory"))
    assert f"useradd --system --home-dir /var/lib/{state} --shell /usr/sbin/nologin {user}\n" in steps
    assert f"install -d -o {user} -g {user} -m 0700 /var/lib/{state}\n" in steps
    # The rest of the file system is read-only for the service.
    places = tomllib.loads("\n".join(re.findall(r"```toml\n(.*?)```", page, re.DOTALL)))
    named = [places["storage"]["database"].removeprefix(SQLITE), places["storage"]["blobs"], places["keys"]["folder"]]
    assert [place for place in named if not place.startswith(f"/var/lib/{state}/")] == []
    # Credentials are there while the service runs: without them init, check and restore refuse the configuration.
    assert "LoadCredential" not in unit


def test_the_container_file_copies_what_there_is() -> None:
    """Whatever the build takes from the source exists; the program that it starts is the one that is installed."""
    text = (DEPLOY / "container" / "Containerfile").read_text()
    copied = [name for line in re.findall(r"^COPY (?!--)(.+) \S+$", text, re.MULTILINE) for name in line.split()]
    assert copied
    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert 'ENTRYPOINT ["/opt/letterlock/bin/letterlock"' in text


def test_an_installed_program_has_all_its_files(tmp_path: Path) -> None:
    """Templates, catalogues, migrations and word lists are in what pip installs, not only in the source folder."""
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "wheel"),
            *("--no-build-isolation", "--no-deps", "--no-cache-dir", "--wheel-dir", tmp_path, ROOT),
        ],
        check=True,
        timeout=120,
    )
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        packed = set(wheel.namelist())
    tracked = subprocess.run(
        ["git", "ls-files", "relay", "policies", "portal"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert set(tracked) - packed == set()
