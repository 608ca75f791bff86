"""Pickup links as they stand in notices."""

import re

from tests.postoffice import Delivered

LINK = re.compile(r"http://127\.0\.0\.1:\d+/p/[a-z2-7]{26}/[a-z2-7]{52}")


def link_in(notice: Delivered) -> str:
    """The one pickup link of a notice."""
    [link] = set(LINK.findall(notice.text))
    return str(link)
