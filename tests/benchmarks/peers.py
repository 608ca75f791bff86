"""The systems under test: a private Postfix and a private Letterlock, both relaying to the sink on port 2600."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from relay.config.demo import word_lists
from tests.gateway import Gateway, free_port, running, wait_for_port

HERE = Path(__file__).parent
SINK_PORT = 2600
LETTERLOCK_PORT = 2527


@contextlib.contextmanager
def postfix(folder: Path) -> Iterator[int]:
    """Run a private Postfix; yield its port."""
    for name in ("etc", "spool", "lib"):
        (folder / name).mkdir(parents=True)
    port = free_port()
    for name in ("main.cf", "master.cf"):
        settings = (HERE / "postfix" / name).read_text().replace("@DIR@", str(folder)).replace("@PORT@", str(port))
        (folder / "etc" / name).write_text(settings)
    shutil.chown(folder / "lib", "postfix")
    folder.chmod(0o755)
    command = ["postfix", "-c", str(folder / "etc")]
    subprocess.run([*command, "start"], check=True)
    try:
        wait_for_port(port)
        yield port
    finally:
        subprocess.run([*command, "stop"], check=False, capture_output=True)


@contextlib.contextmanager
def letterlock(
    folder: Path, rules: str, *, smtp: int = 0, sink: int = SINK_PORT, workers: int = 0
) -> Iterator[Gateway]:
    """Run a private Letterlock with these rules and the other settings of the stories, a relay process for each core."""
    folder.mkdir(parents=True)
    for name, words in word_lists().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(words)
    limits = "\n[limits]\nconnections_per_client = 500\n"
    gateway = Gateway.install(folder, sink, rules=limits + rules, workers=workers or os.cpu_count() or 1, smtp=smtp)
    with running(gateway):
        yield gateway
