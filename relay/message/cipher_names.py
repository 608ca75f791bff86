"""The registered name of a TLS cipher suite, as Received fields give it (RFC 8314 section 4.3).

OpenSSL has names of its own for the suites of TLS 1.2; IANA's registry has those that everybody else can look up.
"""

import re

_REGISTERED = re.compile(r"TLS_[A-Z0-9_]{1,60}", re.ASCII)
_OPENSSL = re.compile(r"(?:(ECDHE|DHE)-)?(?:(ECDSA|RSA)-)?(AES(?:128|256)|CHACHA20)-(.+)", re.ASCII)
_MODES = re.compile(r"(?:GCM-SHA(?:256|384)|CCM8?|POLY1305|SHA(?:256|384)?)", re.ASCII)


def registered_name(cipher: str) -> str:
    """Return the name in IANA's registry of a suite that OpenSSL calls ``cipher``; empty when it is not known."""
    if _REGISTERED.fullmatch(cipher):
        return cipher  # the suites of TLS 1.3 have one name
    match = _OPENSSL.fullmatch(cipher)
    if match is None or not _MODES.fullmatch(match[4]):
        return ""
    exchange = "_".join(filter(None, (match[1], match[2] or "RSA")))
    return f"TLS_{exchange}_WITH_{_algorithm(match[3], match[4])}"


def _algorithm(cipher: str, mode: str) -> str:
    if cipher == "CHACHA20":
        return "CHACHA20_POLY1305_SHA256"
    name = f"AES_{cipher.removeprefix('AES')}"
    if mode.startswith("CCM"):
        return f"{name}_{mode.replace('CCM8', 'CCM_8')}"
    return f"{name}_{mode.replace('-', '_')}" if mode.startswith("GCM") else f"{name}_CBC_{mode}"
