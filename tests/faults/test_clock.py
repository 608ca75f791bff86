"""The clock of the machine jumps by a year, before a start and while everything runs (R7)."""

import httpx2
import pytest

from tests.faults.shim import Shim
from tests.gateway import Gateway
from tests.letters import ANNA, letter
from tests.postoffice import PostOffice
from tests.stories.links import link_in

pytestmark = pytest.mark.story

YEAR = 365 * 86_400


def test_a_year_forward_and_back(gateway: Gateway, shim: Shim, office: PostOffice) -> None:
    """Mail is taken and sent all the while, what waits is not given up, and what is sealed is not destroyed."""
    waiting, reader = "patient@example.net", "sealed-for-years@example.net"
    office.refusals[waiting] = "451 4.7.1 later"
    gateway.send(ANNA, [waiting], letter(to=[waiting]))
    gateway.send(ANNA, [reader], letter(to=[reader], subject="[secure] plan"))
    link = link_in(office.wait_for(reader)[0])
    page = httpx2.get(link).text

    gateway.stop()
    shim.set(clock_seconds=YEAR)
    gateway.start()
    gateway.until(lambda: "nothing was swept" in gateway.log())
    for number, jump in enumerate((YEAR, -YEAR, 0)):
        shim.set(clock_seconds=jump)
        somebody = f"year{number}@example.net"
        gateway.send(ANNA, [somebody], letter(to=[somebody]))
        office.wait_for(somebody)
        secret = f"sealed-year{number}@example.net"
        gateway.send(ANNA, [secret], letter(to=[secret], subject="[secure] plan"))
        assert httpx2.get(link_in(office.wait_for(secret)[0])).status_code == 200
    del office.refusals[waiting]
    assert len(office.wait_for(waiting)) == 1
    assert httpx2.get(link).text == page
    told = [mail for mail in office.of(ANNA) if waiting.encode() in mail.content]
    assert not [mail for mail in told if b"Action: failed" in mail.content], "it was given up"
