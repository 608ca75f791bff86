"""The octets of a message: collected in blocks, checked as they come, freed of transparency dots.

Only CRLF.CRLF ends DATA (RFC 5321 sections 2.3.8, 4.1.1.4 and 4.5.2). Whatever else might look like an end to
somebody behind us (a bare CR or LF around a dot: "SMTP smuggling") is part of a message that is refused as a
whole, after its true end. Outcomes do not depend on how the network cut the octets.
"""

import re
import sys

from relay.memory import LARGE, Room
from relay.message import lines
from relay.smtp import replies
from relay.smtp.inbox import joined
from relay.smtp.overflow import Disk, OnDisk
from relay.smtp.values import Reply

_END = b"\r\n.\r\n"
_LAST_LINE = b".\r\n"
_BEGINNINGS = tuple(_END[:length] for length in range(len(_END), 0, -1))  # longest first, the whole mark too
_BARE_LF = re.compile(rb"(?<!\r)\n")

_FLOOD_ALLOWANCE = 16 << 20  # octets
_PIECE = 64 << 10  # octets that are worth a change of threads


def flood_size(limit: int) -> int:
    """Return the octets above which we do not wait for the end of a message that is over ``limit`` anyway."""
    return 2 * limit + _FLOOD_ALLOWANCE


class Content:
    """The growing content of one message, and what is wrong with it.

    ``limit`` is the largest size in octets (dots unstuffed, CRLF included: RFC 1870 section 5). With ``mend_lines``
    a bare LF becomes CRLF (for authenticated clients only, whose programs may be sloppy), else it is refused.
    Memory comes from ``room`` and must be returned with `release`. Where there is a ``disk``, whoever adds octets calls
    `overflow` when the content is `overfull`.
    """

    def __init__(self, *, limit: int, room: Room, mend_lines: bool = False, disk: Disk | None = None) -> None:
        self._limit = limit
        self._room = room
        self._mend_lines = mend_lines
        self._disk = disk
        self._incoming: OnDisk | None = None
        self._fault: Exception | None = None
        self._octets: bytes | bytearray = b""
        self._enough = LARGE if disk else sys.maxsize  # octets that are held before they go to disk
        self._reserved = 0
        self._size = 0
        self._too_large = self._no_room = self._bare_cr = self._bare_lf = self._nul = False

    @property
    def size(self) -> int:
        """Octets so far, whether they are kept or not."""
        return self._size

    def add(self, piece: bytes, *, plain: bool = False) -> None:
        """Append octets. A CR and the LF after it must come in one piece; ``plain`` says that no line has a fault."""
        if not plain and not lines.are_plain(piece):
            piece = self._checked(piece)
        self._size += len(piece)
        if self._size > self._limit:
            self._too_large = True
        if self._too_large or self._bare_cr or self._bare_lf or self._nul or self._no_room or self._fault:
            self.release()
        elif self._room.take(len(piece)):
            self._reserved += len(piece)
            self._octets = joined(self._octets, piece)
        elif self._disk:
            self._octets = joined(self._octets, piece)
            self._enough = 0
        else:
            self._no_room = True
            self.release()

    def _checked(self, piece: bytes) -> bytes:
        """Note what is wrong with octets, and return them, mended where that is allowed."""
        faults = lines.faults_of(piece)
        self._bare_cr |= faults.bare_cr
        self._nul |= faults.nul
        if faults.bare_lf and self._mend_lines:
            return _BARE_LF.sub(b"\r\n", piece)
        self._bare_lf |= faults.bare_lf
        return piece

    def problem(self) -> Reply | None:
        """Say why the whole message is refused, or None. The order is fixed, so that outcomes are too."""
        if self._too_large:
            return replies.too_large(self._limit)
        for wrong, reply in (
            (self._bare_cr, replies.BARE_CR),
            (self._bare_lf, replies.BARE_LF),
            (self._nul, replies.NUL),
            (self._no_room, replies.NO_ROOM),
        ):
            if wrong:
                return reply
        return None

    @property
    def overfull(self) -> bool:
        """Whether what is held is to go to disk."""
        return len(self._octets) > self._enough

    async def overflow(self) -> None:
        """Move what is held to disk, and wait for it. What fails is told by `complete`, after all has come."""
        disk = self._disk
        assert disk is not None  # noqa: S101  # overfull
        self._incoming = self._incoming or disk.begin()
        self._enough = min(self._enough, _PIECE)  # what is large already need not gather again
        octets, self._octets = self._octets, b""
        reserved, self._reserved = self._reserved, 0
        try:
            await disk.do(self._incoming.write, octets)
        except Exception as error:  # noqa: BLE001  # whatever it is, the client must send all before it can be told
            self._fault = error
            self.release()
        finally:
            self._room.give_back(reserved)

    @property
    def on_disk(self) -> bool:
        """Whether the content went to disk, or should have: then `complete` returns it, else `take`."""
        return self._incoming is not None or self._fault is not None

    @property
    def fault(self) -> Exception | None:
        """What kept the disk from taking the octets, None where nothing did."""
        return self._fault

    async def complete(self) -> OnDisk:
        """Return the content, whole and on disk; from now on it is the caller's to drop.

        What kept the disk from taking it leaves here: StoreFullError, StoreError.
        """
        if self._octets:
            await self.overflow()
        if self._fault is not None:
            raise self._fault
        incoming, disk = self._incoming, self._disk
        assert incoming is not None  # noqa: S101  # on_disk
        assert disk is not None  # noqa: S101  # on_disk
        await disk.do(incoming.finish)
        self._incoming = None
        return incoming

    def take(self) -> bytes:
        """Return the content as one piece; the memory stays reserved until `release`."""
        octets, self._octets = self._octets, b""
        return bytes(octets)

    def release(self) -> None:
        """Forget the octets and give their memory back, also what is on disk; calling it twice does no harm."""
        self._octets = b""
        self._room.give_back(self._reserved)
        self._reserved = 0
        if self._incoming is not None and self._disk is not None:
            self._disk.discard(self._incoming)
            self._incoming = None


class DataReader:
    """Finds the end of DATA in a stream of blocks and fills a `Content` with what stands before it."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._held = b"\r\n"  # might begin the end mark; at the start of DATA a line begins too
        self._surplus = 2  # octets of _held that were never sent

    def feed(self, block: bytes) -> bytes | None:
        """Take a block; return what follows the end of data, or None while the end has not come.

        The search runs over whole blocks, never per line, and looks at each octet a fixed number of times: once, but
        where lines begin with dots or have faults.
        """
        octets = self._held + block
        self._held = next((start for start in _BEGINNINGS if octets.endswith(start)), b"")
        ended = self._held == _END
        # Never cut inside CRLF. : the cut stands before the longest possible beginning of the end mark.
        before = octets[: len(octets) - len(_LAST_LINE if ended else self._held)]
        if lines.are_plain(before):  # then no end mark begins in it but the one behind it
            self._add(before, plain=True)
            return b"" if ended else None
        end = octets.find(_END)
        if end >= 0:
            self._add(octets[: end + 2].replace(b"\r\n.", b"\r\n"))
            return octets[end + len(_END) :]
        self._add(before.replace(b"\r\n.", b"\r\n"))
        return None

    def _add(self, octets: bytes, *, plain: bool = False) -> None:
        if not octets:
            return
        if self._surplus:
            octets, self._surplus = octets[self._surplus :], 0
        if octets:
            self._content.add(octets, plain=plain)
