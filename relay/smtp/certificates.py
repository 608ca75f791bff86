"""TLS of a listener: from PEM files to a context, and again when the files are renewed while it listens."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path

# Those that keep the past secret, without SHA-1 (RFC 9325 section 4.2). Python's own default is the same, but Debian's
# build of it offers whatever its OpenSSL has.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:DHE+AESGCM:DHE+AES:!aNULL:!eNULL:!aDSS:!PSK:!SRP:!SHA1:!AESCCM"

Stamp = tuple[tuple[int, int, int], ...]  # of each file: inode, size, time of the last change in nanoseconds


def server_context() -> ssl.SSLContext:
    """Return a context for TLS 1.2 and newer (RFC 8996, RFC 9325), still without a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_ciphers(_CIPHERS)
    return context


def tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return a `server_context` with this PEM chain and key.

    Raises OSError or ssl.SSLError when they cannot be read or do not belong together.
    """
    context = server_context()
    context.load_cert_chain(certificate, key)
    return context


@dataclass(frozen=True, slots=True)
class Authority:
    """Who vouches for client certificates: the authorities of a PEM file, or those of the system for None."""

    file: Path | None = None


@dataclass(slots=True)
class TlsFiles:
    """The PEM files of one listener. With ``authorities``, clients are asked for a certificate.

    Such a client may come without one; with one that none of them vouches for, its handshake fails (OpenSSL decides).
    ``stamp`` is what the files looked like when `context` last succeeded.
    """

    certificate: Path
    key: Path
    authorities: tuple[Authority, ...] = ()
    stamp: Stamp = field(default=(), init=False)

    def context(self) -> ssl.SSLContext:
        """Return a context from the files as they are now; OSError (ssl.SSLError among them) when they do not serve."""
        stamp = self._look()
        context = tls_context(self.certificate, self.key)
        for authority in self.authorities:
            context.verify_mode = ssl.CERT_OPTIONAL
            if authority.file is None:
                context.load_default_certs(ssl.Purpose.CLIENT_AUTH)
            else:
                context.load_verify_locations(authority.file)
        self.stamp = stamp
        return context

    def changed(self) -> bool:
        """Say whether the files look different since `context` succeeded; OSError when one is missing."""
        return self._look() != self.stamp

    def _look(self) -> Stamp:
        named = (self.certificate, self.key, *(one.file for one in self.authorities if one.file))
        found = (file.stat() for file in named)
        return tuple((one.st_ino, one.st_size, one.st_mtime_ns) for one in found)
