"""Failures of our own, told to clients and logs under one id, without the text of the exception.

The text of an exception may hold an address, a path or a piece of a message; its class and the places it passed
are enough to find the cause.
"""

import secrets
import traceback

import structlog

from relay.errors import StoreFullError
from relay.smtp import replies
from relay.smtp.values import Reply

_log = structlog.get_logger()


def failure(error: BaseException, **where: str) -> Reply:
    """Log an exception under a new id, with what ``where`` says about the session; return the reply: 452 or 451."""
    identifier = secrets.token_hex(6)
    _log.error("internal-error", id=identifier, error=type(error).__name__, at=_places(error), **where)
    if isinstance(error, StoreFullError):
        return replies.storage_full(identifier)
    return replies.internal_error(identifier)


def _places(error: BaseException) -> list[str]:
    """Return ``file:line function`` of the innermost eight frames, without the text of their lines."""
    frames = traceback.extract_tb(error.__traceback__)[-8:]
    return [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames]
