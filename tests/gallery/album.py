"""Small PNG files that know which words they show, so that a picture of yesterday's words is noticed."""

import hashlib
import io
import os
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from playwright.sync_api import Page

KEPT = Path(__file__).parents[2] / "docs" / "screenshots"
_COLOURS = 96  # text, its soft edges, and a few tones
_FIELD = "Words"


def rewriting() -> bool:
    """Whether the pictures in docs/ are to be written anew (`make screenshots`)."""
    return bool(os.environ.get("LETTERLOCK_GALLERY"))


def take(page: Page, path: Path) -> None:
    """Write a picture of the whole page, with a digest of its words."""
    known = PngInfo()
    known.add_text(_FIELD, digest(page))  # this waits for the frames
    size = page.viewport_size
    assert size
    # A frame outside the window is not painted.
    page.set_viewport_size({"width": size["width"], "height": page.evaluate("document.documentElement.scrollHeight")})
    page.wait_for_timeout(100)  # a frame is painted after its document has loaded
    shot = Image.open(io.BytesIO(page.screenshot(full_page=True, animations="disabled", caret="hide"))).convert("RGB")
    small = shot.quantize(_COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    small.save(path, optimize=True, pnginfo=known)
    page.set_viewport_size(size)


def digest(page: Page) -> str:
    """Return the digest of the words on a page, in its frames too."""
    words = "\n".join(frame.locator("body").inner_text() for frame in page.frames)
    return hashlib.sha256(" ".join(words.split()).encode()).hexdigest()[:32]


def digest_in(path: Path) -> str:
    """Return the digest that a picture was taken with; empty when it has none."""
    with Image.open(path) as picture:
        return str(picture.info.get(_FIELD, ""))
