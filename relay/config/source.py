"""Where the processes of one gateway read their configuration: a text that was found sound, the same for all of them.

While a gateway runs, its relay.toml may be wrong for a while: somebody is writing it. A process that starts again in
that moment must start under the configuration that the others run. So the supervisor keeps the text that it accepted
in memory that its processes inherit; the file is read again only when somebody asks for it (SIGHUP).
"""

import os
from dataclasses import dataclass
from pathlib import Path

from relay.config.load import load
from relay.config.model import Configuration


@dataclass(frozen=True, slots=True)
class Source:
    """``path`` is the file, from whose folder relative paths are taken.

    ``accepted`` is the descriptor of the accepted text; None where there is no supervisor: then the file counts.
    """

    path: Path
    accepted: int | None = None

    @classmethod
    def shared(cls, path: Path) -> "Source":
        """Return a source with an empty text, for the supervisor to write and its processes to inherit."""
        # Anonymous memory, closed on exec unless it is passed on: a password of the database never gets a second file.
        return cls(path, os.memfd_create("relay.toml"))

    def accept(self, text: str) -> None:
        """Keep a text for every process that loads from now on."""
        assert self.accepted is not None  # noqa: S101  # only the supervisor accepts
        octets = text.encode()
        os.pwrite(self.accepted, octets, 0)
        os.ftruncate(self.accepted, len(octets))

    def load(self) -> Configuration:
        """Return the configuration; ConfigurationError where it, or a file that it names, is wrong by now."""
        if self.accepted is None:
            return load(self.path)
        size = os.fstat(self.accepted).st_size
        return load(self.path, os.pread(self.accepted, size, 0).decode())
