"""The handle of the warm process: processes of Letterlock that live for a while, and how they end."""

import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from relay.fail_points import VARIABLE

ROOT = Path(__file__).parents[2]


@dataclass
class Life:
    """One forked process. ``code`` is its exit code once it has ended: -9 when it was killed."""

    pid: int
    code: int | None = None
    _ended: threading.Event = field(default_factory=threading.Event)

    def end(self, code: int) -> None:
        self.code = code
        self._ended.set()

    def wait(self, seconds: float) -> int | None:
        """Return the exit code, None when it still lives after so long."""
        self._ended.wait(seconds)
        return self.code

    def signal(self, number: int) -> None:
        """Send a signal."""
        if self.code is None:
            os.kill(self.pid, number)


class Stable:
    """Forks processes of Letterlock out of one that has imported everything. A context manager."""

    def __init__(self) -> None:
        self._warm = subprocess.Popen(
            [sys.executable, "-m", "tests.drill.warm"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, VARIABLE: ""},
        )
        self._lives: dict[int, Life] = {}
        self._started: list[Life] = []
        self._changed = threading.Condition()
        self._listener = threading.Thread(target=self._listen, daemon=True, name="stable")
        self._listener.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._warm.stdin is not None
        self._warm.stdin.close()
        self._warm.wait(20)
        self._listener.join(20)
        assert self._warm.stdout is not None
        self._warm.stdout.close()

    def start(self, service: str, folder: Path, *, fail_at: str = "", number: int = 0, **more: str | int) -> Life:
        """Fork a process of the installation in ``folder``, which dies at ``fail_at``; it logs to ``folder/log``."""
        order: dict[str, str | int] = {
            "service": service,
            "configuration": str(folder / "relay.toml"),
            "number": number,
            "fail_at": fail_at,
            "log": str(folder / "log"),
            **more,
        }
        assert self._warm.stdin is not None
        with self._changed:
            self._warm.stdin.write(json.dumps(order).encode() + b"\n")
            self._warm.stdin.flush()
            assert self._changed.wait_for(lambda: bool(self._started), 60), "the warm process does not answer"
            return self._started.pop()

    def _listen(self) -> None:
        assert self._warm.stdout is not None
        for line in self._warm.stdout:
            said = json.loads(line)
            with self._changed:
                if "started" in said:
                    life = Life(said["started"])
                    self._lives[life.pid] = life
                    self._started.append(life)
                    self._changed.notify_all()
                else:
                    self._lives.pop(said["ended"]).end(said["code"])
