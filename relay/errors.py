"""The one error tree of Letterlock; the sentence for people is kept with the error.

    LetterlockError
    ├── ConfigurationError        relay.toml or a file it names is wrong; carries every problem at once
    ├── KeyringError              keys missing, unreadable, readable by others, or of a newer version
    ├── StoreError                the database or blob store does not answer, is full, or is of another version
    │   └── StoreFullError        no room: 452 before 250, never a 5xx
    ├── SealingError              the one error of the sealed format (relay/vault/sealing)
    ├── OvertakenError            what a plan was made on has changed before its commit: plan again
    ├── RefusedError              what a person asked for is refused, with the reason and what to do
    └── NotFoundError             the named thing is not there (queue entry, message, link)

Verdicts and delivery outcomes are values, not errors. These errors are caught at few edges: the SMTP
conversation (451 and an id), the portal's error page (an id), the command line (one sentence, exit code).
"""

DEFECT = 70  # exit code after an error that is none of these: EX_SOFTWARE of sysexits.h


class LetterlockError(Exception):
    """Root of the tree. ``str(error)`` is one sentence a person can act on."""

    exit_code = 1


class ConfigurationError(LetterlockError):
    """The configuration cannot be used. ``problems`` are complete lines ``file:line:col: sentence``."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class KeyringError(LetterlockError):
    """A key file is missing, damaged or readable by others."""


class StoreError(LetterlockError):
    """The database or the blob store cannot do what was asked; nothing was half done."""


class StoreFullError(StoreError):
    """There is no room left, or the reserve for queue runs and logs would be touched."""


class OvertakenError(LetterlockError):
    """Somebody else changed what this plan was made on, before its commit; nothing was written: plan again."""


class RefusedError(LetterlockError):
    """A person's request was refused; the sentence says why and what to do instead."""


class NotFoundError(LetterlockError):
    """What was named does not exist here."""
