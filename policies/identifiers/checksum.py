"""Check digits of many numbers at once.

A letter may hold hundreds of numbers, and ten of eleven fail their check: this sorts them out before anything else
is asked. Those that pass are given to python-stdnum, which decides.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

_ZERO = ord("0")


@dataclass(frozen=True, slots=True)
class Checksum:
    """A sum over the digits of a number that is divisible by ``modulus`` where the check digit is right.

    ``values`` say what each digit from 0 to 9 adds, place by place from the right: for as many places as the longest
    number has. 0 adds nothing, and all together add at most 255.
    """

    modulus: int
    values: tuple[bytes, ...]
    _tables: tuple[bytes, ...] = field(init=False)  # for bytes.translate: ASCII digit -> what it adds
    _divisible: bytes = field(init=False)

    def __post_init__(self) -> None:
        if sum(map(max, self.values)) > 255:  # noqa: PLR2004 - said above
            raise ValueError("a sum may not exceed a byte")
        tables = tuple(bytes(_ZERO) + adds + bytes(256 - _ZERO - len(adds)) for adds in self.values)
        object.__setattr__(self, "_tables", tables)
        object.__setattr__(self, "_divisible", bytes(total % self.modulus == 0 for total in range(256)))

    def passing(self, numbers: Sequence[bytes]) -> bytes:
        """Return a byte for each number (ASCII digits): 1 where the check digit is right, else 0.

        The sums of all are made together, as the bytes of one long integer: no sum carries into the next byte.
        """
        width = len(self.values)
        column = b"".join([number.rjust(width, b"0") for number in numbers])
        sums = 0
        for place, table in enumerate(self._tables, 1):
            digits = column[width - place :: width]
            sums += int.from_bytes(digits.translate(table), "little")
        return sums.to_bytes(len(numbers), "little").translate(self._divisible)


def weighted(modulus: int, *weights: int) -> Checksum:
    """Return the sum in which each digit counts with its weight, from the right."""
    return Checksum(modulus, tuple(bytes(digit * weight % modulus for digit in range(10)) for weight in weights))


# ISO/IEC 7812-1, annex B: every second digit from the right is doubled, and of the product the digits are added.
LUHN = Checksum(10, (bytes(range(10)), bytes(sum(divmod(2 * digit, 10)) for digit in range(10))) * 10)
