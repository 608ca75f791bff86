"""``letterlock queue pause`` and ``resume``: an operator keeps mail back, and lets it go on.

Not what a rule holds (``letterlock held``): there a sender is asked, here nobody is.
"""

from collections.abc import Sequence
from functools import partial

import click
from sqlalchemy import Connection

from relay import clock
from relay.cli.opened import Opened, opened
from relay.cli.session import Session, pass_session
from relay.cli.terminal import examples, plural, say
from relay.cli.whom import entries_or_domain, ids_or_domain, portions
from relay.errors import LetterlockError, NotFoundError, RefusedError
from relay.queue import interventions

_ID = "4ig7yxbkzvv2pcsxhxeyzxuuym"


@click.command(
    short_help="Hold entries back, or all mail for a domain.",
    epilog=examples(f"letterlock queue pause {_ID}", "letterlock queue pause --to example.net"),
)
@ids_or_domain("All mail for this domain instead of single entries.")
@pass_session
def pause(session: Session, ids: tuple[str, ...], to: str | None) -> None:
    """Keep waiting entries back, or all mail for a domain, until "letterlock queue resume".

    Their time does not run while they wait, and nobody is told. For a domain it holds for later mail, too; what is
    being sent at this moment is finished. What a rule holds is another matter: "letterlock held".
    """
    wanted = entries_or_domain(ids, to)
    with opened(session) as one:
        if to is None:
            paused, refused = each(one, wanted, interventions.pause)
            if paused:
                say(f"Keeps back {plural(paused, 'entry', 'entries')}.")
            if refused:
                raise refused
        elif one.store.run(lambda conn: interventions.pause_destination(conn, one.audit, to, clock.now())):
            say(f"Nothing leaves to {to} any more; a running gateway knows within a second.")
        else:
            say(f"Mail for {to} is paused already.")


@click.command(
    short_help="Let paused mail go on.",
    epilog=examples(f"letterlock queue resume {_ID}", "letterlock queue resume --to example.net"),
)
@ids_or_domain("All mail for this domain instead of single entries.")
@pass_session
def resume(session: Session, ids: tuple[str, ...], to: str | None) -> None:
    """Let paused entries go on, or all mail for a domain.

    They are due at once, and are tried as long as if they had just begun to wait.
    """
    wanted = entries_or_domain(ids, to)
    refused: LetterlockError | None = None
    with opened(session) as one:
        if to is None:
            due, refused = each(one, wanted, interventions.resume)
        else:
            due = one.store.run(lambda conn: interventions.resume_destination(conn, one.audit, to, clock.now()))
    if due or not refused:
        say(f"{plural(due, 'entry is', 'entries are')} due now; a running gateway takes them up within a second.")
    if refused:
        raise refused


def each(one: Opened, wanted: Sequence[bytes], action: interventions.Action) -> tuple[int, LetterlockError | None]:
    """Do something to each entry or message, a portion in a transaction; return to how many entries it was done.

    With it comes what to say of those where it could not be done, None where there is none: the others are done.
    """
    refused: dict[bytes, LetterlockError] = {}

    def work(conn: Connection, portion: Sequence[bytes]) -> int:
        done = 0
        for item in portion:
            refused.pop(item, None)  # a transaction may run again
            try:
                done += action(conn, one.keyring, one.audit, item, clock.now())
            except (NotFoundError, RefusedError) as error:  # raised before anything was written for it
                refused[item] = error
        return done

    done = sum(one.store.run(partial(work, portion=portion)) for portion in portions(wanted))
    if not refused:
        return done, None
    first, others = next(iter(refused.values())), len(refused) - 1
    more = f"; and {plural(others, 'other')} could not be found or did not wait either" if others else ""
    return done, type(first)(f"{first}{more}")
