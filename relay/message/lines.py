"""One look at octets on their way through SMTP: nearly all of them need nothing done to their lines.

Every CR and LF must belong to a CRLF, a NUL must not be there (RFC 5321 section 2.3.8), and a dot at the beginning of
a line is doubled on the wire (section 4.5.2). To search for each of these costs more than all else that is done to
large mail; one automaton finds them together. Where it finds one, `faults_of` and the exact work decide.
"""

from dataclasses import dataclass

from policies.prefilter import Expression, Prefilter

# Plain lines from the beginning, then trouble: so the look ends at the first trouble.
_REMARKABLE = Prefilter([Expression(r"^[^\r\n\x00]*(?:\r\n(?:[^\r\n\x00.][^\r\n\x00]*)?)*(?:\r[^\n]|\n|\x00|\r\n\.)")])


@dataclass(frozen=True, slots=True)
class Faults:
    """What octets hold that must not be in a message."""

    bare_cr: bool
    bare_lf: bool
    nul: bool

    def __bool__(self) -> bool:
        """Whether anything is wrong."""
        return self.bare_cr or self.bare_lf or self.nul


def are_plain(octets: bytes) -> bool:
    """Whether octets are without fault and without CRLF-dot: then they are the same on the wire as in a message.

    A dot in front of everything is not looked at; a CR at the end, whose LF may still come, counts as a fault.
    """
    return not octets.endswith(b"\r") and not _REMARKABLE.occurring(octets)


def faults_of(octets: bytes) -> Faults:
    """Return what is wrong with octets; a CR and its LF must not be cut apart."""
    pairs = octets.count(b"\r\n")
    return Faults(octets.count(b"\r") != pairs, octets.count(b"\n") != pairs, b"\0" in octets)
