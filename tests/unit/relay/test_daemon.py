import socket

from relay.config.values import Endpoint
from relay.daemon import refusal


def test_an_address_of_another_machine_is_refused_before_the_start() -> None:
    """Whoever mistypes an address reads why, instead of processes that die again and again."""
    assert refusal(Endpoint(host="::2", port=2525))


def test_a_port_that_relays_share_is_not_refused() -> None:
    """What relay processes hold with SO_REUSEPORT can be held once more; nothing is taken by the question."""
    with socket.socket() as relay:
        relay.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        relay.bind(("127.0.0.1", 0))
        relay.listen()
        assert not refusal(Endpoint(host="127.0.0.1", port=relay.getsockname()[1]))
