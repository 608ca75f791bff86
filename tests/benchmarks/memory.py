"""How much memory one relay process takes while many large messages come at once.

VmHWM is the most that the process ever had in memory, code and libraries included; it is set back before each case.
Memory hardly depends on what else the machine does, so one run is enough.
"""

from pathlib import Path

from tests.benchmarks.letters import LETTERS
from tests.benchmarks.load import Effort, Sink, measure, sink
from tests.benchmarks.peers import example_rules, letterlock
from tests.gateway import free_port

# kind of letter, connections: each sends one message, all at the same time; flag… is sealed, nothing of it is relayed
CASES = (("t10k", 100), ("a5m", 100), ("a25m", 20), ("flag5m", 100))
HEAD = ("case", "at rest, MB", "peak, MB", "accepted/s", "errors")


def status(pid: int, name: str) -> float:
    """Return a line of /proc/PID/status in MB."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(lines[name].split()[0]) * 1024 / 1e6


def forget_peak(pid: int) -> None:
    """Set VmHWM back to what the process has in memory now (proc(5), clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def report(home: Path, _into: Sink, _effort: Effort) -> None:
    """Start one relay process, send it every case and print the table."""
    print(f"| {' | '.join(HEAD)} |\n{'|---' * len(HEAD)}|", flush=True)
    port = free_port()
    with sink(port) as into, letterlock(home / "one", example_rules(), sink=port, workers=1) as gateway:
        pid = gateway.service_id("relay")
        for kind, connections in CASES:
            rest = status(pid, "VmRSS")
            forget_peak(pid)
            letters = LETTERS / f"{kind}.list"
            found = measure(into, gateway.smtp, letters, connections=connections, count=connections, kept=False)
            cells = (
                f"{connections} x {kind}",
                f"{rest:.0f}",
                f"{status(pid, 'VmHWM'):.0f}",
                f"{found.accepted_rate:.1f}",
                str(found.errors),
            )
            print(f"| {' | '.join(cells)} |", flush=True)
