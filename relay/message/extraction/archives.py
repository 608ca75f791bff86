"""Archives and compressed files: one member after the other, within the budget, nothing written to disk."""

import bz2
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import Protocol

from relay.message.extraction.budget import Budget, UnreadableError

_PIECE = 1 << 20
_ENCRYPTED = 0x1  # general purpose flag, APPNOTE section 4.4.4
_XZ_MEMORY = 128 << 20
_GZIP_WINDOW = 31  # zlib's number for "a gzip header is expected"


def open_zip(data: bytes) -> zipfile.ZipFile:
    """Open a zip file. Raises UnreadableError when it has no readable directory."""
    try:
        return zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, EOFError) as error:
        raise UnreadableError("is a damaged archive") from error


def zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: Budget) -> bytes:
    """Unpack one member piece by piece. Raises UnreadableError: password, damage, unknown method, too much."""
    if info.flag_bits & _ENCRYPTED:
        raise UnreadableError("is protected with a password", encrypted=True)
    pieces = []
    try:
        with archive.open(info) as member:
            while piece := member.read(_PIECE):
                budget.unpacked(len(piece))
                pieces.append(piece)
    except NotImplementedError as error:
        raise UnreadableError("is packed with a method that is not known here") from error
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, RuntimeError) as error:
        raise UnreadableError("is damaged") from error
    return b"".join(pieces)


def zip_members(archive: zipfile.ZipFile) -> Iterator[zipfile.ZipInfo]:
    """Yield the files of an archive; folders are left out, two files of one name both come."""
    return (info for info in archive.infolist() if not (info.is_dir() and info.file_size == 0))


def tar_members(data: bytes, budget: Budget) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each ordinary file of a tar archive; links and devices hold nothing."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            for member in archive:
                file = archive.extractfile(member) if member.isreg() else None
                if file is not None:
                    content = file.read(budget.left + 1)
                    budget.unpacked(len(content))
                    yield member.name, content
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise UnreadableError("is a damaged archive") from error


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


def decompressed(data: bytes, kind: str, budget: Budget) -> bytes:
    """Return the content of a gzip, bzip2 or xz file (several streams behind each other too)."""
    pieces: list[bytes] = []
    while data:
        stream = _new_stream(kind)
        try:
            data = _one_stream(stream, data, pieces, budget)
        except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as error:
            raise UnreadableError("is damaged") from error
        if data[:2] not in {b"\x1f\x8b", b"BZ", b"\xfd7"}:
            break  # padding, or what the unpacking programs ignore
    return b"".join(pieces)


def _new_stream(kind: str) -> _Decompressor:
    if kind == "gzip":
        return _Gzip()
    if kind == "bzip2":
        return bz2.BZ2Decompressor()
    return lzma.LZMADecompressor(memlimit=_XZ_MEMORY)


def _one_stream(stream: _Decompressor, data: bytes, pieces: list[bytes], budget: Budget) -> bytes:
    piece = stream.decompress(data, _PIECE)
    while True:
        budget.unpacked(len(piece))
        pieces.append(piece)
        if stream.eof:
            return stream.unused_data
        piece = stream.decompress(b"", _PIECE)
        if not piece and not stream.eof:
            raise UnreadableError("is damaged")


class _Gzip:
    """zlib's decompressor with the manners of those of bz2 and lzma."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(_GZIP_WINDOW)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int = -1, /) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max(0, max_length))
