"""The systems under test, all of them private and relaying to the sink: Postfix, Postfix with rspamd, Letterlock."""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from relay.config.demo import demo_text, word_lists
from tests.gateway import Gateway, free_port, running, wait_for_port
from tests.rootless import AS_ROOT, give, remove

HERE = Path(__file__).parent
SINK_PORT = 2600
LETTERLOCK_PORT = 2527
SENDERS = "sender.example"  # whom the letters are from
HOME = ('domains = ["example.org"]', f'domains = ["example.org", "{SENDERS}"]')
# No receipt leaves while a run lasts: what arrives is the message itself or its notice.
RECEIPTS = ('[receipts]\nwait = "0s"', '[receipts]\nwait = "1h"')


@dataclass(frozen=True)
class Peer:
    """One system under test: its port, and the processes above all that belong to it."""

    name: str
    port: int
    roots: tuple[int, ...]


def example_rules() -> str:
    """The rules and lists of the demo configuration: what "the default example policy" means in a figure."""
    text = demo_text()
    return text[min(text.index(mark) for mark in ("[[rules]]", "[lists", "[groups") if mark in text) :]


@contextlib.contextmanager
def postfix(
    folder: Path, *, environment: Mapping[str, str] = {}, milter: int = 0, name: str = "postfix"
) -> Iterator[Peer]:
    """Run a private Postfix, if asked for with more in its environment or with a milter on that port."""
    for part in ("etc", "spool", "lib"):
        (folder / part).mkdir(parents=True)
    port = free_port()
    for part in ("main.cf", "master.cf"):
        settings = (HERE / "postfix" / part).read_text().replace("@DIR@", str(folder)).replace("@PORT@", str(port))
        (folder / "etc" / part).write_text(settings)
    with (folder / "etc" / "main.cf").open("a") as main:
        if environment:
            main.write(f"import_environment = MAIL_CONFIG MAIL_DEBUG TZ PATH {' '.join(environment)}\n")
        if milter:
            main.write(f"smtpd_milters = inet:127.0.0.1:{milter}\nmilter_default_action = tempfail\n")
    give(folder / "lib", "postfix")
    folder.chmod(0o755)
    command = [*AS_ROOT, "/usr/sbin/postfix", "-c", str(folder / "etc")]
    subprocess.run([*command, "start"], check=True, env={**os.environ, **environment})
    try:
        wait_for_port(port)
        yield Peer(name, port, (int((folder / "spool" / "pid" / "master.pid").read_text()),))
    finally:
        subprocess.run([*command, "stop"], check=False, capture_output=True)
        for part in ("spool", "lib"):
            remove(folder / part)


@contextlib.contextmanager
def rspamd(folder: Path) -> Iterator[tuple[int, int]]:
    """Run a private rspamd with its usual rules as a milter, without any network; yield its port and process id."""
    for part in ("etc", "data", "run", "log"):
        (folder / part).mkdir(parents=True)
    port, normal = free_port(), free_port()
    settings = (HERE / "rspamd.conf").read_text().replace("@DIR@", str(folder))
    settings = settings.replace("@MILTER@", str(port)).replace("@NORMAL@", str(normal))
    (folder / "etc" / "rspamd.conf").write_text(settings)
    shutil.chown(folder / "data", "_rspamd")
    shutil.chown(folder / "log", "_rspamd")
    shutil.chown(folder / "run", "_rspamd")
    folder.chmod(0o755)
    places = [
        f"--var={name}={folder / part}" for name, part in (("DBDIR", "data"), ("RUNDIR", "run"), ("LOGDIR", "log"))
    ]
    command = ["rspamd", "-f", "-u", "_rspamd", "-g", "_rspamd", "-c", str(folder / "etc" / "rspamd.conf"), *places]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_port(port, process, seconds=180)  # it compiles its expressions first
        yield port, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


@contextlib.contextmanager
def letterlock(
    folder: Path,
    rules: str,
    *,
    smtp: int = 0,
    sink: int = SINK_PORT,
    workers: int = 0,
    environment: Mapping[str, str] = {},
) -> Iterator[Gateway]:
    """Run a private Letterlock with these rules, DKIM on, a relay process for each core."""
    gateway = installed(folder, rules, smtp=smtp, sink=sink, workers=workers)
    gateway.environment = dict(environment)
    with running(gateway):
        yield gateway


def installed(folder: Path, rules: str, *, smtp: int = 0, sink: int = SINK_PORT, workers: int = 0) -> Gateway:
    """Make an installation as the stories do, for the senders of the letters, whose mail is signed with an RSA key."""
    folder.mkdir(parents=True)
    for name, words in word_lists().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(words)
    limits = "\n[limits]\nconnections_per_client = 500\n"
    gateway = Gateway.install(
        folder, sink, rules=limits + rules, workers=workers or os.cpu_count() or 1, smtp=smtp, guarded=False
    )
    gateway.letterlock("keys", "dkim", SENDERS, "bench")
    text = (folder / "relay.toml").read_text()
    for plain, changed in (HOME, RECEIPTS):
        assert plain in text
        text = text.replace(plain, changed)
    key = f'\n[[dkim]]\ndomain = "{SENDERS}"\nselector = "bench"\nkey = "var/keys/dkim/{SENDERS}.bench.pem"\n'
    (folder / "relay.toml").write_text(text + key)
    return gateway


def peer_of(gateway: Gateway) -> Peer:
    """Return a running gateway as a system under test."""
    assert gateway.process is not None
    return Peer("letterlock", gateway.smtp, (gateway.process.pid,))
