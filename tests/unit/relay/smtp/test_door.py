"""A door that is renewed while clients are in."""

from ipaddress import ip_network

from relay.smtp.access import Access, Limits, Occupancy
from relay.smtp.door import Door
from relay.smtp.signing_in import SignIns
from tests.dialogues.stage import USERS, FewFailures
from tests.unit.relay.smtp.in_memory import Intake, door


def test_what_is_renewed_and_what_stays() -> None:
    """Rules, access, users and limits are the new ones; who is in is not forgotten, nor who is signing in."""
    old: Door = door(Intake(), occupancy=Occupancy(connections=2))
    occupancy, sign_ins, now = old.occupancy, old.sign_ins, old.now
    assert occupancy.enter("192.0.2.7") is None
    new_intake = Intake()
    other = door(
        new_intake,
        hostname="new.example",
        access=Access((ip_network("192.0.2.0/24"),)),
        limits=Limits(message_size=5),
        occupancy=Occupancy(connections=1),
        users=USERS,
        sign_ins=SignIns(FewFailures(lambda: 0.0)),
        tls_at_once=True,
    )
    old.renew(other)
    assert (old.hostname, old.postmaster) == ("new.example", "postmaster@new.example")
    assert (old.accept, old.access, old.limits, old.users) == (new_intake, other.access, other.limits, USERS)
    assert (old.occupancy, old.sign_ins, old.now, old.tls_at_once) == (occupancy, sign_ins, now, False)
    refusal = occupancy.enter("192.0.2.8")
    assert refusal is not None
    assert refusal.code == 421
    occupancy.leave("192.0.2.7")
    assert occupancy.enter("192.0.2.8") is None
