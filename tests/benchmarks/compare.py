"""`make bench`: Letterlock against Postfix in one run; tables with the ratios go to standard output.

Systems are visited in turn, in alternating order; each figure is the median of the repeats. The machine may be shared,
so only the ratios of one run count. CPU of a system's own processes moves least: a busy machine makes it larger for
both.
"""

import argparse
import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from pathlib import Path

from tests.benchmarks import growth, memory, parts
from tests.benchmarks.letters import LETTERS, Writer
from tests.benchmarks.load import Effort, Measured, Sink, build, measure, sink
from tests.benchmarks.peers import LETTERLOCK_PORT, Peer, example_rules, letterlock, peer_of, postfix, rspamd
from tests.faults.shim import Shim

SLOW_SYNC = 5000  # microseconds more for each sync
SHOWN = (
    "accepted_rate",
    "delivered_rate",
    "accept_p50",
    "accept_p99",
    "end_to_end_p99",
    "own_cpu",
    "cpu_per_message",
)


@dataclass(frozen=True)
class Case:
    """What is sent: the kind of letter, over how many connections, how many, whether connections are kept.

    ``sealed`` says that Letterlock seals these letters and sends a notice for each; Postfix relays them.
    """

    kind: str
    connections: int
    count: int
    kept: bool = False
    sealed: bool = False

    def __str__(self) -> str:
        return f"{self.kind}, {self.connections}{' kept' if self.kept else ''}{' sealed' if self.sealed else ''}"


RELAYED = (
    Case("t10k", 1, 600),
    Case("t10k", 20, 3000),
    Case("t10k", 20, 4000, kept=True),
    Case("t100k", 20, 1500),
    Case("a5m", 20, 60),
    Case("mix", 20, 800),
    Case("flag10k", 20, 1500, sealed=True),
)
FILTERED = (Case("mix", 20, 600),)
SLOW = (Case("t10k", 1, 1000), Case("t10k", 20, 1500, kept=True))


def median(runs: list[Measured]) -> Measured:
    """The median of each figure; counts of errors are added up."""
    added = {"sent", "errors", "lost", "duplicates"}
    values = {
        field.name: (sum if field.name in added else statistics.median)([getattr(run, field.name) for run in runs])
        for field in fields(Measured)
    }
    return Measured(**values)


def compare(into: Sink, peers: Sequence[Peer], cases: Iterable[Case], effort: Effort) -> None:
    """Measure every case against every system and print the table; ratios are to the first system."""
    head = ["case", "system", *SHOWN, "errors/lost/duplicates", "ratio delivered", "ratio p99"]
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for case in cases:
        runs: dict[str, list[Measured]] = {peer.name: [] for peer in peers}
        for repeat in range(effort.repeats):
            for peer in peers if repeat % 2 == 0 else reversed(peers):
                runs[peer.name].append(one(into, peer, case, effort))
        base: Measured | None = None
        for name, found in runs.items():
            figures = median(found)
            base = base or figures
            cells = [f"{getattr(figures, field):.2f}" for field in SHOWN]
            faults = f"{figures.errors}/{figures.lost}/{figures.duplicates}"
            ratios = [ratio(figures.delivered_rate, base.delivered_rate), ratio(figures.accept_p99, base.accept_p99)]
            print("| " + " | ".join([str(case), name, *cells, faults, *ratios]) + " |", flush=True)


def one(into: Sink, peer: Peer, case: Case, effort: Effort) -> Measured:
    """Measure one case against one system."""
    return measure(
        into,
        peer.port,
        LETTERS / f"{case.kind}.list",
        connections=case.connections,
        count=max(effort.of(case.count), case.connections),
        kept=case.kept,
        roots=peer.roots,
        notices=case.sealed and peer.name == "letterlock",
    )


def ratio(figure: float, base: float) -> str:
    """Return how many times ``base`` a figure is."""
    return f"{figure / base:.2f}" if base else "-"


def relayed(home: Path, into: Sink, effort: Effort) -> None:
    """Relaying and sealing against Postfix, and Postfix with rspamd as a milter where that is installed."""
    with ExitStack() as stack:
        plain = stack.enter_context(postfix(home / "postfix"))
        gateway = stack.enter_context(letterlock(home / "letterlock", example_rules(), smtp=LETTERLOCK_PORT))
        compare(into, (plain, peer_of(gateway)), RELAYED, effort)
        print("\n## Against Postfix with rspamd as a milter\n", flush=True)
        if shutil.which("rspamd") is None:
            print("rspamd is not installed here (apt install rspamd): not measured", flush=True)
            return
        try:
            milter, filter_root = stack.enter_context(rspamd(home / "rspamd"))
        except (AssertionError, OSError) as error:
            print(f"rspamd does not start here: not measured ({str(error).splitlines()[0]})", flush=True)
            return
        filtered = stack.enter_context(postfix(home / "filtered", milter=milter, name="postfix + rspamd"))
        filtered = replace(filtered, roots=(*filtered.roots, filter_root))
        compare(into, (filtered, peer_of(gateway)), FILTERED, effort)


def slow_sync(home: Path, into: Sink, effort: Effort) -> None:
    """The same with every sync 5 ms slower, on both."""
    folder = home / "faults"
    folder.mkdir()
    shim = Shim(folder, home)
    (folder / "faults").chmod(0o666)  # Postfix's processes are of other users
    with (
        postfix(home / "slow-postfix", environment=shim.environment) as plain,
        letterlock(home / "slow-letterlock", example_rules(), environment=shim.environment) as gateway,
        shim.fault(sync_microseconds=SLOW_SYNC),
    ):
        compare(into, (plain, peer_of(gateway)), SLOW, effort)
        print(f"\n{shim.counted('syncs')} syncs in all", flush=True)


SECTIONS: dict[str, tuple[str, Callable[[Path, Sink, Effort], None]]] = {
    "relayed": ("Against Postfix", relayed),
    "slow": (f"Every sync {SLOW_SYNC // 1000} ms slower", slow_sync),
    "parts": ("CPU of the parts, in one process without sockets in front", parts.report),
    "growth": ("Cost of a message as work grows", growth.report),
    "memory": ("Memory of one relay process", memory.report),
}


def main() -> None:
    """Read the options, start the systems and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--share", type=float, default=1.0, help="of the usual number of messages and rows")
    parser.add_argument("--only", choices=SECTIONS, help="one of the tables")
    options = parser.parse_args()
    build()
    if not all((LETTERS / f"{name}.list").exists() for name in ("mix", "flag10k", "flag5m")):
        Writer(LETTERS).write_all()
    with tempfile.TemporaryDirectory() as folder, sink() as into:
        home = Path(folder)
        home.chmod(0o755)
        for name, (title, section) in SECTIONS.items():
            if options.only in {None, name}:
                print(f"\n## {title}\n", flush=True)
                section(home, into, Effort(options.repeats, options.share))


if __name__ == "__main__":
    main()
