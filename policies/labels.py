"""Tags that staff type into the subject, such as "[secure]", compared as a person would compare them.

Case, spaces inside and around, full-width brackets and invisible characters make no difference; the tag may stand
anywhere in the subject. The brackets belong to it: "secure" alone is a word, not a tag.
"""

from policies.text import fold


def tag_key(tag: str) -> str:
    """Return the form in which tags are compared; empty for a tag that is nothing but space."""
    return "".join(fold(tag).casefold().split())


def has_tag(subject: str, key: str) -> bool:
    """Tell whether the subject shows the tag with this key."""
    return key in tag_key(subject)
