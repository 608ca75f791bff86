"""A real gateway for stories: its own folder, configuration, processes and ports, driven as a person would."""

import atexit
import contextlib
import os
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tests.guard import guard
from tests.launcher import Launched, launch

CONFIGURATION = """\
[organisation]
name = "Example Council"
domains = ["example.org"]
contact = "Help desk, +44 20 7946 0000"

[gateway]
domain = "letter.example.org"
workers = {workers}

[storage]
database = "{database}"
blobs = "var/blobs"
disk_reserve = "1 MiB"

[keys]
folder = "var/keys"

[listen.submission]
address = "127.0.0.1:{smtp}"
trusted_networks = ["{trusted}"]

[route.inside]
hosts = ["127.0.0.1:{world}"]
tls = "none"

[route.outside]
hosts = ["127.0.0.1:{world}"]
tls = "none"

[delivery]
retry = ["1s"]

[receipts]
wait = "0s"

[portal]
base_url = "http://127.0.0.1:{portal}"
listen = "127.0.0.1:{portal}"
"""

SEALS_NHS_NUMBERS = """
[[rules]]
name = "nhs-numbers"
because = "the message contains an NHS number"
to = "outside"
when = { identifier = "nhs", confidence = "high" }
action = "seal"
"""

RULES = (
    SEALS_NHS_NUMBERS
    + """
[[rules]]
name = "asked-for"
because = "the sender asked for it with [secure] in the subject"
to = "outside"
when = { subject_tag = "[secure]" }
action = "seal"

[[rules]]
name = "never-this"
because = "the message names the project that must not leave the house"
to = "outside"
when = { keywords = ["project nightjar"] }
action = "refuse"
"""
)


@cache
def first_day() -> Path:
    """What `letterlock init` makes on the first day: keys and an empty database, made once and copied for each story.

    `tests/unit/relay/cli` has the stories of init itself.
    """
    folder = Path(tempfile.mkdtemp(prefix="letterlock-first-day-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    values = {"smtp": 2525, "portal": 8080, "world": 2526, "workers": 1, "trusted": "127.0.0.0/8"}
    text = CONFIGURATION.format(**values, database="sqlite:///var/letterlock.db")
    (folder / "relay.toml").write_text(text)
    Gateway(folder, 2525, 8080).letterlock("init")
    return folder / "var"


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(
    port: int,
    process: "subprocess.Popen[bytes] | Launched | None" = None,
    log: Callable[[], str] = str,
    seconds: float = 30,
) -> None:
    """Wait until something listens on a port; fail when the process that should do so ends, or after ``seconds``."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert process is None or process.poll() is None, f"the gateway ended at once:\n{log()}"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)  # a start of real processes: there is nothing to listen to yet
    raise AssertionError(f"port {port} did not open:\n{log()}")


@dataclass
class Gateway:
    """One installation in ``folder``. ``smtp`` and ``portal`` are its ports; ``environment`` is added to its own."""

    folder: Path
    smtp: int
    portal: int
    process: subprocess.Popen[bytes] | Launched | None = None
    environment: dict[str, str] = field(default_factory=dict)

    @classmethod
    def install(
        cls,
        folder: Path,
        next_hop: int,
        *,
        rules: str = RULES,
        database: str = "",
        workers: int = 1,
        trusted: str = "127.0.0.0/8",
        smtp: int = 0,
        guarded: bool = True,
    ) -> "Gateway":
        """Write relay.toml and make keys and database, as IT does on the first day; both routes lead to one port."""
        smtp, portal = smtp or free_port(), free_port()
        values = {
            "smtp": smtp,
            "portal": portal,
            "world": next_hop,
            "workers": workers,
            "trusted": trusted,
            "database": database or "sqlite:///var/letterlock.db",
        }
        (folder / "relay.toml").write_text(CONFIGURATION.format(**values) + rules)
        gateway = cls(folder, smtp, portal)
        if database:
            gateway.letterlock("init")
        else:
            shutil.copytree(first_day(), folder / "var", copy_function=shutil.copy2)
            if guarded:  # costs a benchmark, and shows a story what no queue entry may do
                guard(folder / "var" / "letterlock.db")
        return gateway

    def letterlock(self, *arguments: str, expect: int = 0) -> str:
        """Run a command as an operator and return what it printed; of one that is to fail, its complaint too."""
        with tempfile.TemporaryDirectory() as streams:
            output, errors = Path(streams) / "output", Path(streams) / "errors"
            environment = {"NO_COLOR": "1", "COLUMNS": "200"}
            code = launch(arguments, self.folder, output, errors, environment).wait(60)
            printed, complaint = output.read_text(), errors.read_text()
            assert code == expect, f"letterlock {' '.join(arguments)}: {code}\n{printed}{complaint}"
        return printed + complaint if expect else printed

    def start(self) -> None:
        """Start `letterlock run` and wait until relay and portal answer."""
        log = self.folder / "log"
        if self.environment:  # some of it is read by the linker or at the import: a program of its own
            with log.open("ab") as stream:
                self.process = subprocess.Popen(
                    [Path(sys.executable).parent / "letterlock", "run"],
                    cwd=self.folder,
                    stdout=stream,
                    stderr=stream,
                    env={**os.environ, **self.environment},
                )
        else:
            self.process = launch(["run"], self.folder, log, log)
        for port in (self.smtp, self.portal):
            wait_for_port(port, self.process, self.log)

    def until(self, condition: Callable[[], bool], seconds: float = 20) -> None:
        """Wait until something is so; fail with the log after ``seconds``."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.1)  # between looks at another process

    def log(self) -> str:
        """Everything the processes logged so far."""
        return (self.folder / "log").read_text()

    def stop(self) -> None:
        """Stop in order, as Ctrl-C does; fail when something had to be ended by force."""
        if self.process is not None:
            process, self.process = self.process, None
            process.send_signal(signal.SIGINT)
            assert process.wait(40) == 0, self.log()

    def kill(self) -> None:
        """End every process at once, without a chance to tidy up: what a power cut leaves behind."""
        assert self.process is not None
        children = self.worker_ids()
        process, self.process = self.process, None
        for pid in [process.pid, *_children(process.pid), *children]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait(10)
        for pid in children:
            _wait_until_gone(pid)

    def worker_ids(self) -> list[int]:
        """The process ids of the services, which the supervisor's nursery forks."""
        assert self.process is not None
        return [pid for nursery in _children(self.process.pid) for pid in _children(nursery)]

    def service_id(self, service: str, number: int = 0) -> int:
        """The process id of one service that runs, such as ``relay``."""
        [found] = (pid for pid in self.worker_ids() if Path(f"/proc/{pid}/comm").read_text() == f"{service} {number}\n")
        return found

    def send(self, sender: str, recipients: Sequence[str], content: bytes) -> str:
        """Hand a mail to the relay as a mail client does; return the text of the final 250, else raise."""
        with smtplib.SMTP("127.0.0.1", self.smtp, local_hostname="desk.example.org", timeout=60) as client:
            client.ehlo()
            code, text = client.mail(sender)
            if code != 250:
                raise smtplib.SMTPSenderRefused(code, text, sender)
            for recipient in recipients:
                code, text = client.rcpt(recipient)
                if code != 250:
                    raise smtplib.SMTPRecipientsRefused({recipient: (code, text)})
            code, text = client.data(content)
            if code != 250:
                raise smtplib.SMTPDataError(code, text)
            return text.decode()


def _children(parent: int) -> list[int]:
    with contextlib.suppress(OSError):  # it has ended meanwhile
        return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
    return []


def _wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 10
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        while Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z":
            assert time.monotonic() < deadline, f"process {pid} is still there"
            time.sleep(0.01)  # the kernel is clearing up


@contextlib.contextmanager
def running(gateway: Gateway) -> Iterator[Gateway]:
    """Start a gateway and stop it at the end, also after a failure."""
    try:
        gateway.start()
        yield gateway
    finally:
        if gateway.process is not None and gateway.process.poll() is None:
            gateway.process.terminate()
            try:
                gateway.process.wait(40)
            except subprocess.TimeoutExpired:
                gateway.kill()
