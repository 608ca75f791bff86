"""How tall the frame of a formatted mail should be: without a script, nothing can measure it in the browser."""

import re
from collections.abc import Callable
from itertools import islice

from portal.rendering.images import InlineImages, shown_height
from portal.rendering.markup import Tag, tokens
from portal.rendering.plain import html_to_text

SIZES = (6, 9, 12, 18, 26, 36, 50, 70)  # lines; each is a class in the style sheet
_LINE_WIDTH = 80  # characters
_LINE_HEIGHT = 24  # CSS pixels
_MOST_LINES = 200
_MOST_IMAGES = 40
_PIXELS = re.compile(r"([0-9]{1,4})(?:px)?")


def frame_size(source: str, load: Callable[[str], bytes | None]) -> int:
    """Return the size, one of ``SIZES``, of a frame that is likely to hold the mail; it scrolls when it does not.

    ``load`` returns the octets behind a Content-ID, of which the first kilobytes are enough, or None. Only images
    that will be shown count, each with its own height.
    """
    text = html_to_text(source).split("\n", _MOST_LINES)[:_MOST_LINES]
    lines = sum(1 + len(line) // _LINE_WIDTH for line in text)
    images = InlineImages(load)
    tags = (token for token in tokens(source, []) if not isinstance(token, str) and token.name == "img")
    # At most so many: each of them may have to be opened and read.
    lines += sum(1 + _height(images, tag) // _LINE_HEIGHT for tag in islice(tags, _MOST_IMAGES))
    return next((size for size in SIZES if lines < size), SIZES[-1])


def _height(images: InlineImages, tag: Tag) -> int:
    """Return the height of an image, in CSS pixels, as it is or lower as the sender sets it; 0 when not shown."""
    height = shown_height(images.octets(tag.attributes.get("src", "").strip()) or b"")
    wanted = _PIXELS.fullmatch(tag.attributes.get("height", "").strip())
    return min(height, int(wanted[1])) if wanted else height
