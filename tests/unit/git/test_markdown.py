"""Messages as Markdown: rendered by a real parser, they read as they were written."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from build.git.changelog import Section, text
from build.git.commits import Bump, parse
from build.git.markdown import escaped

TYPES: dict[str, Bump] = {"fix": "patch"}
PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def rendered(markdown: str) -> str:
    """The HTML that a forge would show."""
    return str(PARSER.render(markdown))


def read(markdown: str) -> str:
    """The text that a reader sees, without spaces: a line break is one, and code has none at its ends."""
    return re.sub(r"\s+", "", html.unescape(re.sub(r"<[^>]*>", "", rendered(markdown))))


def entry(message: str) -> str:
    """The section of a release with this one commit."""
    commit = parse(message, commit="1" * 40)
    return text(
        Section(title="1.0.0", version="1.0.0", line="all", tag="v1.0.0", before="", date=None, commits=(commit,)), TYPES, None
    )  # fmt: skip


@pytest.mark.parametrize(
    ("subject", "markdown"),
    [
        ("read <name> & &lt; it", "read &lt;name> & &amp;lt; it"),
        ("<!-- hide the rest", "&lt;!-- hide the rest"),
        ("use *.py and **kwargs", r"use \*.py and \*\*kwargs"),
        ("call __init__ of my_module", r"call \_\_init\_\_ of my_module"),
        ("link [a](b) and ![c][d]", r"link \[a\](b) and !\[c\]\[d\]"),
        ("[ ] do it", r"\[ \] do it"),
        ("a | b", "a &#124; b"),
        ("~~never~~ again", "&#126;&#126;never&#126;&#126; again"),
        ("clean ~/.cache", "clean ~/.cache"),
        (r"match \* and C:\temp", r"match \\\* and C:\temp"),
        ("# of workers", r"\# of workers"),
        ("close #12 for @me", "close #12 for @me"),
        ("1. January is a date", r"1\. January is a date"),
        ("- and + are signs", r"\- and + are signs"),
        ("> 3 workers", "&gt; 3 workers"),
        ("x -> y", "x -> y"),
        ("keep `<br>` and `a_*b*` as code", "keep `<br>` and `a_*b*` as code"),
        ("keep ``a ` b`` and ` alone", r"keep ``a ` b`` and \` alone"),
        ("a \x1b[31mcolour", "a \ufffd\\[31mcolour"),
    ],
)
def test_v6_signs_of_a_subject_are_escaped(subject: str, markdown: str) -> None:
    """HTML and Markdown signs are shown, code stays code, and what no parser would act on stays readable."""
    assert escaped(subject) == markdown


@pytest.mark.parametrize(
    "subject",
    [
        "<script>alert(1)</script> <img src=x> <!--",
        "*a* _b_ [c](d) | ~~e~~",
        "# a",
        "- a",
        "1. a",
        "> a",
        "a  <https://b.invalid>",
    ],
)
def test_v6_a_subject_does_nothing_in_the_changelog(subject: str) -> None:
    """No tag, emphasis, link, table, heading, list or quotation comes of a subject or a scope."""
    page = rendered(entry(f"fix: {subject}") + entry(f"fix({subject.replace('(', '').replace(')', '')}): x"))

    assert set(re.findall(r"<(\w+)", page)) <= {"h2", "h3", "ul", "li", "p", "strong"}
    assert read(f"{escaped(subject)}") == re.sub(r"\s+", "", subject)


@given(st.text(alphabet="ab1 <>&;*_`[]()|#!~\\-+.=:@/\"'{}$^mplt", max_size=24))
def test_v6_rendering_gives_the_subject_back(subject: str) -> None:
    """For any signs in any order, the reader sees the subject, code spans without their backticks."""
    written = escaped(subject)
    spans = re.compile(r"(?<!`)(`+)(?!`)(.*?[^`\s].*?)(?<!`)\1(?!`)")
    shown = re.sub(r"\s+", "", subject)
    if "`" in subject:
        assert read(f"- **x:** {written} (1)\n- y").replace("`", "") == f"x:{shown}(1)y".replace("`", "")
    else:
        assert read(f"- {written} (1)\n- y") == f"{shown}(1)y"
    assert spans.sub("", written).count("<") == 0


def test_v6_a_note_keeps_lists_and_code_and_nothing_else() -> None:
    """Paragraphs, lists and fenced code of a note stay below their entry; its signs are shown."""
    message = (
        "fix!: x\n\nBREAKING CHANGE: use <b>:\n\n- `a_b`\n- *c*\n\n```yaml\nport: <1>\n\n  deep: 2\n```\n# no heading"
    )
    page = rendered(entry(message) + "- next\n")

    assert "<code>a_b</code>" in page
    assert '<pre><code class="language-yaml">port: &lt;1&gt;\n\n  deep: 2\n</code></pre>' in page
    assert "*c*" in page
    assert "# no heading" in page
    assert page.count("<h") == 2
    assert "&lt;b&gt;" in page
