"""What makes the generator repeatable: named random bytes, and HPKE cipher texts recorded once.

HPKE through `cryptography` takes no ephemeral key, so its output cannot be made twice. Each one is recorded
under the hash of its inputs in recorded.json; a later run finds it there.
"""

import hashlib
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from relay.vault.sealing import hpke

HERE = Path(__file__).parent
RECORD = HERE / "recorded.json"


def named(name: str, length: int) -> bytes:
    """Return bytes that look random and are the same in every run."""
    return hashlib.shake_256(b"letterlock vectors 1 " + name.encode()).digest(length)


class Randomness:
    """Stands in for secrets.token_bytes: the n-th draw of a named case is always the same."""

    def __init__(self, case: str) -> None:
        self.case, self.count = case, 0

    def __call__(self, nbytes: int | None = None) -> bytes:
        assert nbytes is not None
        self.count += 1
        return named(f"{self.case} draw {self.count}", nbytes)


class Recorder:
    """Stands in for the two HPKE sealing functions."""

    def __init__(self) -> None:
        self.old: dict[str, str] = json.loads(RECORD.read_text()) if RECORD.exists() else {}
        self.used: dict[str, str] = {}
        self._seal, self._seal_recovery = hpke.seal, hpke.seal_recovery

    def seal(self, public: bytes, data: bytes, info: bytes) -> bytes:
        return self._once(public, data, info, lambda: self._seal(public, data, info))

    def seal_recovery(self, public, data: bytes, info: bytes) -> bytes:
        return self._once(public.encoded, data, info, lambda: self._seal_recovery(public, data, info))

    def _once(self, public: bytes, data: bytes, info: bytes, make) -> bytes:
        digest = hashlib.sha256()
        for value in (public, data, info):
            digest.update(len(value).to_bytes(4, "big") + value)
        name = digest.hexdigest()[:32]
        self.used[name] = self.used.get(name) or self.old.get(name) or make().hex()
        return bytes.fromhex(self.used[name])


@contextmanager
def repeatable(recorder: Recorder, case: str) -> Iterator[None]:
    """Make everything that is sealed inside repeatable."""
    before = secrets.token_bytes, hpke.seal, hpke.seal_recovery
    secrets.token_bytes, hpke.seal, hpke.seal_recovery = (
        Randomness(case),
        recorder.seal,
        recorder.seal_recovery,
    )
    try:
        yield
    finally:
        secrets.token_bytes, hpke.seal, hpke.seal_recovery = before
