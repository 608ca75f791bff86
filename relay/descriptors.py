"""How many files and connections a process may have open: as many as the system lets us, and said when that is few."""

import resource

from relay.config.model import Configuration

MOST = 65_536  # more than any limit of ours needs; some systems allow a thousand million
OTHERS = 200  # database, blobs, log, next hops, helpers: what a process has open beside its clients
RESERVE = 40  # of them no client ever gets: with them, who is inside can be served to the end


def take_all() -> int:
    """Raise the soft limit of this process and its children as far as it may go; return what it is then.

    The usual soft limit of 1,024 is there for programs that call select(2); none of ours does.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return MOST if soft == resource.RLIM_INFINITY else soft


def few_left(newest: int) -> bool:
    """Say whether only the reserve is left, by the number of the descriptor that was opened last.

    The kernel gives the lowest free number (POSIX.1-2017, XSH 2.14): one near the limit says that nearly all below it
    are in use. To wait until accept(2) fails with EMFILE would be too late: whatever thread opens a file first takes
    the descriptor that the event loop keeps for hanging up, and the callers wait for nobody.
    """
    return newest >= resource.getrlimit(resource.RLIMIT_NOFILE)[0] - RESERVE


def missing(configuration: Configuration, allowed: int) -> int:
    """Return how many descriptors a relay process lacks for the connections that it takes; 0 when there are enough."""
    clients = -(-configuration.limits.connections // configuration.gateway.workers)
    return max(0, clients + OTHERS - allowed)
