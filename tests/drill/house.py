"""One installation under a drill: its relay processes live until they come to a fail point, or until they are asked."""

import re
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from relay.store.engine import open_engine
from relay.vault.keyring import Keyring
from tests.drill.clients import Clients
from tests.drill.ledger import Ledger
from tests.drill.letters import GREYLIST, REFUSALS, RULES
from tests.drill.sink import Sink
from tests.drill.stable import Life, Stable
from tests.gateway import Gateway, wait_for_port
from tests.machines import further_machine

KILLED = -signal.SIGKILL
PATIENCE = 40.0  # seconds for a place to be reached


@dataclass
class House:
    """A sink, one or two machines on one database, and the accounts. ``lives`` are the relays that run, by machine."""

    sink: Sink
    machines: Sequence[Gateway]
    ledger: Ledger
    lives: list[Life | None]
    stable: Stable | None = None
    portal: Life | None = None
    kills: dict[str, int] = field(default_factory=dict)

    @classmethod
    def build(cls, folder: Path, stable: Stable | None = None, *, database: str = "", machines: int = 1) -> "House":
        """Install everything; nothing runs yet.

        ``database`` is a URL; empty: SQLite in the folder. Whoever starts single processes brings the ``stable``.
        """
        sink = Sink(dict(REFUSALS), dict(GREYLIST))
        sink.start()
        first = _install(folder, sink, database)
        gateways = [first, *(_further(folder / f"machine-{number}", first, number) for number in range(1, machines))]
        url = database or f"sqlite:///{folder / 'var' / 'letterlock.db'}"
        keyring = Keyring.open(folder / "var" / "keys", role="relay")
        return cls(sink, gateways, Ledger(open_engine(url, writer=False), keyring), [None] * machines, stable)

    @property
    def clients(self) -> Clients:
        """New clients, not started, who send to every machine."""
        return Clients([gateway.smtp for gateway in self.machines], name=f"{len(self.ledger.kills)}-")

    def begin(self, service: str, number: int = 0, *, fail_at: str = "", **more: Any) -> Life:
        """Fork a process of one machine, to die at a place or to live on."""
        assert self.stable is not None
        return self.stable.start(service, self.machines[number].folder, fail_at=fail_at, **more)

    def start(self, number: int = 0, fail_at: str = "") -> Life:
        """Start the relay of a machine, to die at a place or to live on."""
        life = self.lives[number] = self.begin("relay", number, fail_at=fail_at)
        return life

    def start_all(self) -> None:
        """Start the relays that do not run; wait until all answer."""
        for number, life in enumerate(self.lives):
            if life is None:
                self.start(number)
        for gateway in self.machines:
            wait_for_port(gateway.smtp, log=self.log)

    def open_portal(self, fail_at: str = "") -> Life:
        """Start the portal of the first machine unless it runs; wait until it answers."""
        if self.portal is None or self.portal.code is not None:
            self.portal = self.begin("portal", fail_at=fail_at)
            wait_for_port(self.machines[0].portal, log=self.log)
        return self.portal

    def die(self, place: str, times: int = 1) -> None:
        """Let the relay of the first machine live until it has come to ``place`` so often."""
        self.start(0, f"{place}:{times}")
        self.next_death({0: place})

    def cut_power(self) -> None:
        """Kill the relay of the first machine, wherever it is."""
        life = self.lives[0]
        assert life is not None
        life.signal(signal.SIGKILL)
        assert life.wait(PATIENCE) == KILLED
        self.lives[0] = None
        self.ledger.note_kill(self.sink.copies, self.sink.heard_out(_host(0)))

    def end_portal(self) -> None:
        """Kill the portal, if it runs."""
        if self.portal is not None:
            self.portal.signal(signal.SIGKILL)
            self.portal.wait(PATIENCE)

    def next_death(self, doomed: Mapping[int, str]) -> int:
        """Wait until the relay of one of these machines has died at its place, note it, and return which.

        AssertionError when none dies within `PATIENCE`, or one ends otherwise.
        """
        end = monotonic() + PATIENCE
        while True:
            for number, place in doomed.items():
                life = self.lives[number]
                assert life is not None
                if life.wait(0.02 if len(doomed) > 1 else PATIENCE) is not None:
                    self.lives[number] = None
                    self._died(life, place)
                    self.ledger.note_kill(self.sink.copies, self.sink.heard_out(_host(number)))
                    return number
            assert monotonic() < end, f"never reached: {sorted(doomed.values())}\n{self.log()[-4000:]}"

    def await_death(self, life: Life, place: str) -> None:
        """Wait until a process that is no relay has died at a place."""
        life.wait(PATIENCE)
        self._died(life, place)

    def _died(self, life: Life, place: str) -> None:
        assert life.code == KILLED, f"{place}: ended with {life.code}\n{self.log()[-4000:]}"
        self.kills[place] = self.kills.get(place, 0) + 1

    def settle(self) -> None:
        """Wait until everything that can be sent was sent; relays run. Then stop them in order."""
        self.until_sent()
        self.stop()

    def until_sent(self) -> None:
        """Wait until everything that can be sent was sent, and recorded."""
        end = monotonic() + PATIENCE
        while left := self.ledger.unfinished():
            assert monotonic() < end, f"{left} things are unfinished\n{self.log()[-4000:]}"
            sleep(0.05)  # between looks at another process's rows

    def stop(self) -> None:
        """Stop everything in order; AssertionError when a process does not end as it should."""
        for life in (*self.lives, self.portal):
            if life is not None:
                life.signal(signal.SIGTERM)
        for life in (*self.lives, self.portal):
            # uvicorn ends itself by the signal that it was given.
            assert life is None or life.wait(30) in {0, KILLED, -signal.SIGTERM}, self.log()[-4000:]
        self.lives, self.portal = [None] * len(self.lives), None

    def close(self) -> None:
        """End what runs, however."""
        for life in (*self.lives, self.portal):
            if life is not None:
                life.signal(signal.SIGKILL)
        self.ledger.engine.dispose()
        self.sink.stop()

    def log(self) -> str:
        """What the processes of the first machine have logged."""
        return self.machines[0].log()


def _install(folder: Path, sink: Sink, database: str) -> Gateway:
    gateway = Gateway.install(folder, sink.ports[0], rules=RULES, database=database)
    file = folder / "relay.toml"
    text = (
        file.read_text().replace('"var/', f'"{folder / "var"}/').replace("sqlite:///var/", f"sqlite:///{folder}/var/")
    )
    # Inside does not know PIPELINING: there each command is answered by itself.
    text = re.sub(r"(\[route\.inside\]\nhosts = \[)[^]]*", rf'\g<1>"127.0.0.1:{sink.ports[1]}"', text)
    file.write_text(text.replace("[gateway]\n", f'[gateway]\nhostname = "{_host(0)}"\nmachine = "machine-0"\n'))
    return gateway


def _further(folder: Path, first: Gateway, number: int) -> Gateway:
    gateway = further_machine(folder, first, f"machine-{number}")
    file = folder / "relay.toml"
    file.write_text(file.read_text().replace(_host(0), _host(number)))
    return gateway


def _host(number: int) -> str:
    return f"machine-{number}.letter.example.org"
