import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.config.positions import NOWHERE, Key, Position, find_positions

SAMPLE = '''# a comment with [brackets] and = signs
top = 1
"quoted \\u00e9" . inner = 'x'

[organisation]
name = "Council # not a comment"
domains = [
  "example.org",   # the first ]
  "b.example",
]
text = """
[not.a.table]
key = "also not" \\""" """
raw = \'\'\'
]\'\'\'
[listen.submission]
address = "127.0.0.1:2525"
[[rules]]
name = "one"
when.any = [ { identifier = "nhs", confidence = "high" }, { keywords = ["a", "b"], at_least = 3 } ]
[[rules]]
name = "two"
[rules.when]
not = { identifier = "bsn" }
[[rules.deep]]
x = 1
[[rules.deep]]
x = 2
'''


def leaves(value: Any, path: Key = ()) -> Iterator[Key]:
    yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves(inner, (*path, index))


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        (("top",), (2, 1), (2, 7)),
        (("quoted é",), (3, 1), (3, 1)),
        (("quoted é", "inner"), (3, 19), (3, 27)),
        (("organisation",), (5, 1), (5, 1)),
        (("organisation", "domains"), (7, 1), (7, 11)),
        (("organisation", "domains", 1), (9, 3), (9, 3)),
        (("organisation", "text"), (11, 1), (11, 8)),
        (("organisation", "raw"), (14, 1), (14, 7)),
        (("listen", "submission", "address"), (17, 1), (17, 11)),
        (("rules", 0, "name"), (19, 1), (19, 8)),
        (("rules", 0, "when", "any", 1, "keywords", 1), (20, 78), (20, 78)),
        (("rules", 0, "when", "any", 1, "at_least"), (20, 84), (20, 95)),
        (("rules", 1, "when", "not", "identifier"), (24, 9), (24, 22)),
        (("rules", 1, "deep", 1, "x"), (28, 1), (28, 5)),
    ],
)
def test_each_key_and_value_is_found(path: Key, key: tuple[int, int], value: tuple[int, int]) -> None:
    """Every kind of TOML key and value is found at its line and column."""
    places = find_positions(SAMPLE)
    assert places.of_key(path) == Position(*key)
    assert places.of_value(path) == Position(*value)


def test_what_is_not_written_points_at_its_table() -> None:
    """A key that is missing points at the table that should hold it; without the table it stands nowhere."""
    places = find_positions(SAMPLE)
    assert places.of_value(("listen", "submission", "tls")) == Position(16, 1)
    assert places.of_key(("portal", "base_url")) == NOWHERE


def test_every_path_of_the_document_has_a_place() -> None:
    """The scanner finds exactly the keys and values that tomllib reads."""
    places = find_positions(SAMPLE)
    found = set(places.keys) | set(places.values)
    assert set(leaves(tomllib.loads(SAMPLE))) - {()} <= found


def test_windows_line_ends_count_once() -> None:
    """A file with CRLF line ends gives the same lines and columns."""
    assert find_positions(SAMPLE.replace("\n", "\r\n")) == find_positions(SAMPLE)


KEYS = st.one_of(
    st.from_regex(r"[A-Za-z0-9_-]{1,8}", fullmatch=True),
    st.sampled_from(['"a.b"', "'c # d'", '"\\""', '"="', "''"]),
)
SCALARS = st.sampled_from(
    ["1", "true", "-1.5e3", "inf", "0x1F", "1979-05-27T07:32:00Z", "1979-05-27 07:32:00", '""', "''"]
) | st.sampled_from(
    ['"a # ] }"', "'b, \"'", '"\\"', '"""x\n"" ]\n"""', "'''y\n'' }\n'''", '""""q"""""', "''''r'''''", '""""""']
)
SPACES = st.sampled_from(["", " ", "\n", '  # it\'s "odd" ]\n', "\t"])


@st.composite
def arrays(draw: st.DrawFn, inner: st.SearchStrategy[str]) -> str:
    items = [draw(SPACES) + draw(inner) + draw(SPACES) for _ in range(draw(st.integers(0, 3)))]
    return "[" + ",".join(items) + (draw(st.sampled_from(["", ","])) if items else "") + draw(SPACES) + "]"


@st.composite
def inline_tables(draw: st.DrawFn, inner: st.SearchStrategy[str]) -> str:
    keys = draw(st.lists(KEYS, unique_by=lambda key: tomllib.loads(f"{key}=1").popitem()[0], max_size=3))
    return "{ " + ", ".join(f"{key} = {draw(inner)}" for key in keys) + " }"


VALUES = st.recursive(SCALARS, lambda inner: arrays(inner) | inline_tables(inner), max_leaves=8)


@given(
    st.lists(st.tuples(KEYS, KEYS, VALUES), max_size=4),
    st.sampled_from(["[{}.{}]\n", "[[{}.{}]]\n", "{}.{}.k = 1\n"]),
)
def test_generated_documents_are_followed_to_the_end(lines: list[tuple[str, str, str]], form: str) -> None:
    """Whatever tomllib accepts is scanned to its end, with a place for each key and value."""
    text = "".join(form.format(first, second) + f"value = {value}\n" for first, second, value in lines) + "last = 1\n"
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    places = find_positions(text)
    assert set(leaves(document)) - {()} <= set(places.keys) | set(places.values)
    assert max(places.values.values()).line == text.count("\n")
