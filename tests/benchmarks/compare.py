"""`make bench`: Letterlock against Postfix in one run; the table goes to standard output.

Targets are visited in turn, in alternating order; each figure is the median of the repeats. The machine may be
shared, so only the ratios of one run count, and CPU per message moves least.
"""

import argparse
import statistics
import tempfile
from dataclasses import fields
from pathlib import Path

from relay.config.demo import demo_text
from tests.benchmarks.letters import Writer
from tests.benchmarks.load import Measured, Sink, build, measure, sink
from tests.benchmarks.peers import LETTERLOCK_PORT, letterlock, postfix

# kind of letter, connections, messages, whether connections are kept
CASES = (
    ("t10k", 1, 600, False),
    ("t10k", 20, 3000, False),
    ("t10k", 20, 4000, True),
    ("t100k", 20, 1500, False),
    ("a5m", 20, 60, False),
    ("mix", 20, 800, False),
)
SHOWN = ("accepted_rate", "delivered_rate", "accept_p50", "accept_p99", "end_to_end_p99", "cpu_per_message")
LETTERS = Path(__file__).parent / "mail"


def example_rules() -> str:
    """The rules and lists of the demo configuration: what "the default example policy" means in a figure."""
    text = demo_text()
    return text[min(text.index(mark) for mark in ("[[rules]]", "[lists", "[groups") if mark in text) :]


def median(runs: list[Measured]) -> Measured:
    """The median of each figure; counts of errors are added up."""
    added = {"sent", "errors", "lost", "duplicates"}
    values = {
        field.name: (sum if field.name in added else statistics.median)([getattr(run, field.name) for run in runs])
        for field in fields(Measured)
    }
    return Measured(**values)


def run(into: Sink, targets: dict[str, int], repeats: int, only: str) -> None:
    """Measure every case against every target and print the table."""
    head = ["case", "target", *SHOWN, "errors/lost/duplicates", "ratio"]
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for kind, connections, count, kept in (case for case in CASES if case[0].startswith(only)):
        runs: dict[str, list[Measured]] = {name: [] for name in targets}
        for repeat in range(repeats):
            order = list(targets.items())
            for name, port in order if repeat % 2 == 0 else reversed(order):
                letters = LETTERS / f"{kind}.list"
                runs[name].append(measure(into, port, letters, connections=connections, count=count, kept=kept))
        base = 0.0
        for name, found in runs.items():
            figures = median(found)
            base = base or figures.delivered_rate
            cells = [f"{getattr(figures, field):.2f}" for field in SHOWN]
            faults = f"{figures.errors}/{figures.lost}/{figures.duplicates}"
            case = f"{kind}, {connections}{' kept' if kept else ''}"
            ratio = f"{figures.delivered_rate / base:.2f}" if base else "-"
            print("| " + " | ".join([case, name, *cells, faults, ratio]) + " |", flush=True)


def main() -> None:
    """Read the options, start the peers and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", default="", help="cases whose kind of letter begins so, for example t10k")
    options = parser.parse_args()
    build()
    if not (LETTERS / "mix.list").exists():
        Writer(LETTERS).write_all()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        home.chmod(0o755)
        with (
            sink() as into,
            postfix(home / "postfix") as first,
            letterlock(home / "letterlock", example_rules(), smtp=LETTERLOCK_PORT) as second,
        ):
            run(into, {"postfix": first, "letterlock": second.smtp}, options.repeats, options.only)


if __name__ == "__main__":
    main()
