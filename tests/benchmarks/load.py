"""One measured run: the load generator sends, the relay under test forwards, the sink writes down what arrives.

Generator and sink are small C programs, so that on two cores the load costs less than the system under test.
"""

import contextlib
import json
import os
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.peers import SINK_PORT

HERE = Path(__file__).parent
RECORD = 32  # bytes: sequence number, two time stamps, size
QUIET = 0.5  # busy cores of the machine below which a run may start
GIVE_UP = 12.0  # seconds without a new arrival


@dataclass(frozen=True)
class Measured:
    """The figures of one run; times in milliseconds, rates per second."""

    accepted_rate: float
    delivered_rate: float
    accept_p50: float
    accept_p99: float
    end_to_end_p50: float
    end_to_end_p99: float
    own_cpu: float  # of the processes under test, for each message: what else runs on the machine hardly moves it
    cpu_per_message: float  # of the whole machine, less generator and sink
    sent: int
    errors: int
    lost: int
    duplicates: int


@dataclass(frozen=True)
class Effort:
    """How often each case is repeated, and which share of the usual number of messages and rows is used."""

    repeats: int = 3
    share: float = 1.0

    def of(self, count: int) -> int:
        """Return that share of a number, at least one."""
        return max(1, round(count * self.share))


@dataclass(frozen=True)
class Sink:
    """The running sink: the file it writes and its process id."""

    path: Path
    pid: int

    def count(self) -> int:
        """How many messages have arrived."""
        return self.path.stat().st_size // RECORD

    def since(self, start: int) -> list[tuple[int, int, int, int]]:
        """The records from number ``start`` on."""
        with self.path.open("rb") as file:
            file.seek(start * RECORD)
            content = file.read()
        return [struct.unpack_from("<qQQQ", content, at) for at in range(0, len(content) - RECORD + 1, RECORD)]


def build() -> None:
    """Compile generator and sink where they are missing."""
    (HERE / "bin").mkdir(exist_ok=True)
    for name in ("smtpload", "smtpsink"):
        program = HERE / "bin" / name
        if not program.exists():
            subprocess.run(["cc", "-O2", "-Wall", "-o", program, HERE / "src" / f"{name}.c"], check=True)


@contextlib.contextmanager
def sink(port: int = SINK_PORT) -> Iterator[Sink]:
    """Keep one sink alive: stopping it between runs would make a peer defer mail on its kept connections."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        path = Path(folder) / "sink"
        path.touch()
        process = subprocess.Popen(
            [HERE / "bin" / "smtpsink", "-p", str(port), "-o", path, "-D", "0"],
            stdout=subprocess.DEVNULL,
        )
        time.sleep(0.3)
        try:
            yield Sink(path, process.pid)
        finally:
            process.terminate()
            process.wait()


def _machine_busy() -> float:
    fields = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(fields) - fields[1] - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")  # without niced work


def _process_cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _tree_cpu(pid: int) -> float:
    """Return the CPU seconds of a process, of those below it, and of those below it that have ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:  # it ends just now: its parent counts it from here on
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK") + sum(_tree_cpu(int(child)) for child in below)


def _wait_for_quiet(longest: float = 5.0) -> None:
    deadline = time.monotonic() + longest
    while time.monotonic() < deadline:
        before = _machine_busy()
        time.sleep(0.4)
        if (_machine_busy() - before) / 0.4 < QUIET:
            return


def measure(
    into: Sink,
    port: int,
    letters: Path,
    *,
    connections: int,
    count: int,
    kept: bool,
    roots: Iterable[int] = (),
    notices: bool = False,
) -> Measured:
    """Send ``count`` messages of a list file over so many connections and wait until they have arrived.

    ``roots`` are the processes above all those under test. With ``notices`` something else arrives in place of each message
    (it was sealed): then arrivals are counted, and how long each took is not known.
    """
    _wait_for_quiet()
    already, busy, sink_cpu = into.count(), _machine_busy(), _process_cpu(into.pid)
    own = sum(map(_tree_cpu, roots))
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        record = Path(folder) / "load"
        command: list[str | Path] = [
            HERE / "bin" / "smtpload",
            "-p",
            str(port),
            "-c",
            str(connections),
            "-n",
            str(count),
        ]
        command += ["-l", letters, "-m", "0" if kept else "1", "-o", record, "-t", "90"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        load = json.loads(done.stdout)
        _wait_for_arrivals(into, already + load["sent"])
        busy, sink_cpu = _machine_busy() - busy, _process_cpu(into.pid) - sink_cpu
        own = sum(map(_tree_cpu, roots)) - own
        content = record.read_bytes()
    begun = {
        number: start
        for number, start, _, _ in (
            struct.unpack_from("<QQQQ", content, at) for at in range(0, len(content) - RECORD + 1, RECORD)
        )
    }
    arrived = into.since(already)
    if notices:
        arrived = [(number, *record[1:]) for number, record in zip(begun, arrived, strict=False)]
    ours = [(number, at) for number, at, _, _ in arrived if number in begun and at >= begun[number]]
    waits = sorted((at - begun[number]) / 1e6 for number, at in ours) or [0.0]
    sent = max(load["sent"], 1)
    seconds = (max((at for _, at in ours), default=load["t0_ns"]) - load["t0_ns"]) / 1e9
    return Measured(
        accepted_rate=load["accept_per_s"],
        delivered_rate=len(ours) / seconds if seconds > 0 else 0.0,
        accept_p50=load["p50_ms"],
        accept_p99=load["p99_ms"],
        end_to_end_p50=waits[len(waits) // 2],
        end_to_end_p99=waits[int((len(waits) - 1) * 0.99)],
        own_cpu=own / sent * 1e3,
        cpu_per_message=(busy - load["loader_cpu_s"] - sink_cpu) / sent * 1e3,
        sent=load["sent"],
        errors=load["errors"],
        lost=sent - len({number for number, _ in ours}),
        duplicates=len(ours) - len({number for number, _ in ours}),
    )


def _wait_for_arrivals(into: Sink, expected: int) -> None:
    last, since = -1, time.monotonic()
    while (now := into.count()) < expected:
        if now != last:
            last, since = now, time.monotonic()
        if time.monotonic() - since > GIVE_UP:
            return
        time.sleep(0.002)
