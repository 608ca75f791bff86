"""The height of a formatted mail's frame: its words, and the images that are shown."""

import base64
import struct

import pytest

from portal.rendering.frames import SIZES, frame_size


def png(width: int, height: int) -> bytes:
    """The first octets of a PNG of this size."""
    return b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)


LOGO = "data:image/png;base64," + base64.b64encode(png(160, 48)).decode()
SHORT = "<p>Dear Jane,</p><p>Thursday at ten.</p><p>Anna</p>"


@pytest.mark.parametrize(
    ("source", "size"),
    [
        ("", 6),
        (SHORT, 6),
        (SHORT + '<img src="https://tracker.example/open.gif" height=900>', 9),
        (SHORT + f'<img src="{LOGO}">', 9),
        (SHORT + '<img src="cid:photo">', 36),
        (SHORT + '<img src="cid:photo" height="100px">', 12),
        (SHORT + '<img src="cid:wide">', 18),
        (SHORT + '<img src="cid:gone"><img src="cid:page">', 9),
        ("<p>line</p>" * 10, 26),
        (f"<p>{'word ' * 160}</p>", 12),
        ("<p>line</p>" * 100_000, SIZES[-1]),
    ],
)
def test_the_frame_fits_what_is_shown(source: str, size: int) -> None:
    """Images count with the height they have on the page; what is not shown counts as the words in its place."""
    files = {"photo": png(600, 700), "wide": png(7200, 2400), "page": b"<svg height=9000>"}
    assert frame_size(source, files.get) == size


def test_thousands_of_images_are_not_opened() -> None:
    """A hostile mail makes the page open some of its images, not all of them, before it is shown."""
    opened: list[str] = []
    assert frame_size('<img src="cid:x">' * 20_000, opened.append) == SIZES[-2]
    assert len(opened) == 40
