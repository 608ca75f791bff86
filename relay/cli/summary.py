"""``letterlock queue summary``: what waits, by way out and reason."""

import click

from relay import clock
from relay.cli.opened import opened
from relay.cli.session import Session, pass_session
from relay.cli.spans import due_in, span
from relay.cli.terminal import examples, plural, print_json, print_table, say
from relay.queue.summary import Heap, summarize

_SHOWN = 3  # domains


@click.command(epilog=examples("letterlock queue summary"))
@click.option("--json", "as_json", is_flag=True, help="Print for a script.")
@pass_session
def summary(session: Session, as_json: bool) -> None:
    """Add up what waits: how much, for how long, where to and why."""
    now = clock.now()
    with opened(session) as one, one.store.read() as conn:
        heaps = summarize(conn, one.keyring)
    if as_json:
        print_json(
            [
                {
                    "entries": heap.entries,
                    "oldest": heap.oldest.isoformat(),
                    "next_try": heap.next_try.isoformat() if heap.next_try else None,
                    "route": heap.route,
                    "state": heap.state.value,
                    "why": heap.why,
                    "domains": dict(heap.domains.most_common()),
                }
                for heap in heaps
            ]
        )
        return
    if heaps:
        print_table(
            ("entries", "oldest", "next try", "route", "to", "why"),
            (
                (
                    f"{heap.entries:,}",
                    span(now, heap.oldest),
                    due_in(heap.next_try, now),
                    heap.route,
                    _domains(heap),
                    heap.why,
                )
                for heap in heaps
            ),
            right=("entries", "oldest"),
        )
    waiting = sum(heap.entries for heap in heaps)
    say(f"{plural(waiting, 'entry', 'entries')} waiting." if waiting else "Nothing is waiting.")


def _domains(heap: Heap) -> str:
    many = len(heap.domains) > 1
    shown = [f"{domain} {count:,}" if many else domain for domain, count in heap.domains.most_common(_SHOWN)]
    more = len(heap.domains) - len(shown)
    return ", ".join(shown) + (f" and {plural(more, 'domain')} more" if more else "")
