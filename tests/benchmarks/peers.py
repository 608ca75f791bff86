"""The systems under test: a private Postfix and a private Letterlock, both relaying to the sink on port 2600."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.gateway import wait_for_port

HERE = Path(__file__).parent
SINK_PORT = 2600
POSTFIX_PORT = 2525
LETTERLOCK_PORT = 2527

CONFIGURATION = """\
[organisation]
name = "Example Council"
domains = ["example.org"]
contact = "Help desk, +44 20 7946 0000"

[gateway]
domain = "letter.example.org"
workers = {workers}

[listen.submission]
address = "127.0.0.1:{port}"

[limits]
connections_per_client = 500

[route.inside]
hosts = ["127.0.0.1:{sink}"]
tls = "none"

[route.outside]
hosts = ["127.0.0.1:{sink}"]
tls = "none"

[portal]
base_url = "http://127.0.0.1:8087"
listen = "127.0.0.1:8087"

"""


@contextlib.contextmanager
def postfix(folder: Path) -> Iterator[int]:
    """Run a private Postfix; yield its port."""
    for name in ("etc", "spool", "lib"):
        (folder / name).mkdir(parents=True)
    settings = (HERE / "postfix" / "main.cf").read_text().replace("@DIR@", str(folder))
    (folder / "etc" / "main.cf").write_text(settings)
    shutil.copy(HERE / "postfix" / "master.cf", folder / "etc")
    shutil.chown(folder / "lib", "postfix")
    folder.chmod(0o755)
    command = ["postfix", "-c", str(folder / "etc")]
    subprocess.run([*command, "start"], check=True, capture_output=True)
    try:
        wait_for_port(POSTFIX_PORT)
        yield POSTFIX_PORT
    finally:
        subprocess.run([*command, "stop"], check=False, capture_output=True)


@contextlib.contextmanager
def letterlock(folder: Path, rules: str, workers: int = 2) -> Iterator[int]:
    """Run a private Letterlock with these rules; yield its port."""
    folder.mkdir(parents=True)
    head = CONFIGURATION.format(port=LETTERLOCK_PORT, sink=SINK_PORT, workers=workers)
    (folder / "relay.toml").write_text(head + rules)
    command = Path(sys.executable).parent / "letterlock"
    subprocess.run([command, "init"], cwd=folder, check=True, capture_output=True)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([command, "run"], cwd=folder, stdout=log, stderr=log, env={**os.environ})
    try:
        wait_for_port(LETTERLOCK_PORT)
        yield LETTERLOCK_PORT
    finally:
        process.terminate()
        process.wait(40)
