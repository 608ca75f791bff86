import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.message.html_text import html_text, is_light
from tests.proportion import at_most


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("<p>943<b> 476</b> 59<span>19</span></p>", "943 476 5919"),
        ("<p>943&nbsp;476&#32;5919</p>", "943 476 5919"),
        ("9<!-- x -->43", "943"),
        ("943\u200b476\u00ad5919", "9434765919"),
        ("<div>a</div><div>b</div>", "a\nb"),
        ("a<br>b", "a\nb"),
        ("<tr><td>1</td><td>2</td></tr>", "12"),
        ("<table><tr><td>1</td><td>2</td></tr></table>", "1\n2"),
        ("<p style='display:none'>hidden</p>", "hidden"),
        ("<font color=white size=0>white</font>", "white"),
        ("<img alt='a picture of 943'>", "a picture of 943"),
        ("<a title='hover'>x</a>", "x\nhover"),
        ("<a href='mailto:a@example.org?body=943%20476'>x</a>", "x\nmailto:a@example.org?body=943 476"),
        ("<a href='https://example.org/9'>x</a>", "x\nhttps://example.org/9"),
        ("<input value='typed'>", "typed"),
        ("<script>no()</script><style>p{}</style>x", "x"),
        ("<!-- draft -->x", "x"),
        ("<!--[if mso]><p>for Outlook</p><![endif]-->x", "x\nfor Outlook"),
        ("<!--[if !mso]><!-->all but Outlook<!--<![endif]-->x", "all but Outlookx"),
        ("<title>t</title>x", "t\nx"),
        ("<xmp><!-- shown --></xmp>", "<!-- shown -->"),
        ("<textarea><b>typed</b></textarea>", "<b>typed</b>"),
        ("<template>spare</template>", "spare"),
        ("a &lt;b&gt; c", "a <b> c"),
        ("<p title='a>b'>x", "x\na>b"),
        ("", ""),
    ],
)
def test_html_says_what_can_be_seen_or_copied(source: str, text: str) -> None:
    """Shown and hidden text, attributes that speak, conditional comments; no scripts, no ordinary comments."""
    assert html_text(source) == text


def test_deeply_nested_html_is_not_light() -> None:
    """What would hold the parser for seconds is told before it is parsed."""
    assert is_light("<p>x</p>" * 1_000)
    assert not is_light("<div>" * 100_000)
    assert not is_light("x" * 1_000_000)


@pytest.mark.parametrize(
    "source", ["<div>" * 4_000, "<!--[if x]>" * 3_900, "<a title='" * 3_900, "<" * 4_000, "<b>" * 3_999, "&#" * 100_000]
)
def test_light_html_takes_little_time(source: str) -> None:
    """The worst that counts as light takes no more than some hundred times what plain paragraphs of its length do."""
    assert is_light(source)
    paragraphs = "<p>word</p>" * (len(source) // 11)
    assert at_most(300, lambda: html_text(source), lambda: html_text(paragraphs))


@given(st.text(alphabet="<>!-[]ifabp/ \"'=&#;x", max_size=200))
def test_any_html_can_be_read(source: str) -> None:
    """Whatever the source, there is text."""
    assert isinstance(html_text(source), str)
