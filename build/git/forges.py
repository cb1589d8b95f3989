"""What forges write into commit messages: numbers and titles of requests, squashed commits, reverts. Pure.

GitHub and Gitea have pull requests (#12), GitLab merge requests (!12), Bitbucket and Azure DevOps pull requests.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from build.git.footers import breaks, fenced
from build.git.headers import HEADER, looks_conventional

_NUMBER = r"[#!](?P<number>\d+)"
_SUFFIX = rf" \((?:pull request )?{_NUMBER}\)$"
# First lines of merges: GitHub, Gitea, Bitbucket Cloud, Azure DevOps, Bitbucket Data Center, GitLab and git.
_MERGES = (
    rf"Merge pull request {_NUMBER} from .*",
    rf"Merge pull request '(?P<title>.*)' \({_NUMBER}\) from .*",
    rf"Merged in .* \(pull request {_NUMBER}\)",
    r"Merged PR (?P<number>\d+): (?P<title>.*)",
    rf"Pull request {_NUMBER}: (?P<title>.*)",
    r"Merge (?:remote-tracking )?branch .*",
)
_STARTS = ("Merge", "Pull request ")
_AZURE = r"^Merged PR \d+: "
_SEE = r"^See merge request \S*!(?P<number>\d+)$"
# "Reverts owner/repository#11" (GitHub), "Reverts !11" (Azure DevOps), "This reverts merge request !11" (GitLab),
# "This reverts pull request #11" (Bitbucket).
_REVERTS = r"^(?:Reverts (?:[\w.-]+/[\w.-]+)?|This reverts (?:merge|pull) request (?:[\w./-]+(?=!))?)[#!](\d+)\.?\s*$"
REVERT_TITLES = ('Revert "', 'Reapply "')  # git's own, and every forge's
_REVERTED = r"\bThis reverts commit ([0-9a-f]{7,64})\b"
_HASHES = r"\b[0-9a-f]{7,64}\b"
_QUOTED = r"(?P<verb>Revert|Reapply) (?P<quote>[\"'])(?P<subject>.*)(?P=quote)"
_ITEM = r"\* (?P<header>\S.*)"
_TRAILERS_OF_GITHUB = r"-{9}"
# What a revert or a reverted commit is known by: how often it was reverted, type, scope, description, and its number.
Subject = tuple[int, str, str, str]


def without_number(subject: str) -> tuple[str, str]:
    """Return a subject without the number of its request at the end, and that number or ""."""
    match = re.search(_SUFFIX, subject)
    return (subject[: match.start()].rstrip(), match["number"]) if match else (subject, "")


def merged(subject: str, rest: str) -> tuple[str, str, str]:
    """Return title, number and remaining text of the request that a merge or a squash brought in, "" for each it lacks.

    The title stands in the first line, or is the first paragraph below.
    """
    for pattern in _MERGES if subject.startswith(_STARTS) else ():
        if match := re.fullmatch(pattern, subject):
            groups = match.groupdict()
            number = groups.get("number") or _seen(rest)
            if title := groups.get("title"):
                return title, number, rest
            title, _, below = rest.strip().partition("\n")
            return title.strip(), number, below
    return subject, without_number(subject)[1] or _seen(rest), rest


def _seen(rest: str) -> str:
    match = re.search(_SEE, rest, flags=re.MULTILINE) if "See merge request" in rest else None
    return match["number"] if match else ""


def by_a_forge(subject: str) -> bool:
    """Whether it is a first line that a forge or git gives to a merge or a squash, in place of the request's title."""
    return subject.startswith(_STARTS) and any(re.fullmatch(pattern, subject) for pattern in _MERGES)


def counted(subject: str, rest: str) -> tuple[str, str, str]:
    """Return (subject, title, text below) of a merge if the title of its request is worth reading, else ("", …)."""
    title, _, below = merged(subject, rest)
    counts = HEADER.match(title) or title.startswith(REVERT_TITLES) or looks_conventional(title) or breaks(below)
    return (subject, title, below) if counts else ("", subject, rest)


def reverted_commits(rest: str, references: Iterable[str]) -> tuple[str, ...]:
    """Return the hashes in git's sentences, else those in the `references` of a revert."""
    sentences = re.findall(_REVERTED, rest)
    return tuple(sentences or (commit for value in references for commit in re.findall(_HASHES, value)))


def reverted_number(rest: str) -> str:
    """Return the number of the request that a message says it reverts, or ""."""
    match = re.search(_REVERTS, rest, flags=re.MULTILINE) if "everts " in rest else None
    return match[1] if match else ""


def subject_of(text: str) -> tuple[Subject, str]:
    """Return what a first line is known by, and the number of its request.

    `Revert "Revert "feat: x" (#2)"` and `Reapply "feat: x"` are equal: feat: x, reverted twice. The number is that at
    the end, outside of the quotes.
    """
    text, number = _bare(text)
    reverted = 0
    while match := re.fullmatch(_QUOTED, text):
        reverted += 1 if match["verb"] == "Revert" else 2
        text, _ = _bare(match["subject"])
    header = HEADER.match(text)
    if header is None:
        return (reverted, "", "", text), number
    return (reverted, header["type"].lower(), header["scope"] or "", header["description"].rstrip()), number


def _bare(text: str) -> tuple[str, str]:
    """Return a subject without the numbers at its end, and the last of these."""
    text, number = without_number(re.sub(_AZURE, "", text.strip()))
    before, more = without_number(text)
    while more:
        text = before
        before, more = without_number(text)
    return text, number


def quoted_number(text: str) -> str:
    """Return the number in the subject that a `Revert "…"` quotes, or ""; `Reapply "…"` quotes what was reverted."""
    quoting, _ = without_number(text.strip())
    match = re.fullmatch(_QUOTED, quoting)
    return without_number(match["subject"].strip())[1] if match and match["verb"] == "Revert" else ""


def squashed(rest: str) -> tuple[str, list[str]]:
    """Return the text around the list of squashed commits, and the message of each listed one, oldest first.

    A list is `* feat: …` at the start of paragraphs, with the body of each below: as it is (GitHub) or indented by two
    spaces (GitLab's %{all_commits}). Only what is a Conventional Commit is taken out of the text.
    """
    lines = rest.replace("\r\n", "\n").split("\n")
    code = fenced(lines)
    kept: list[str] = []
    items: list[list[str]] = []
    into = kept
    starts = True  # whether an item may: after a blank line or another item
    for number, line in enumerate(lines):
        item = re.fullmatch(_ITEM, line) if starts and number not in code else None
        starts = item is not None or not line.strip()
        if item and (HEADER.match(item["header"]) or re.match(_QUOTED, item["header"])):
            into = [item["header"]]
            items.append(into)
            continue
        if item or re.fullmatch(_TRAILERS_OF_GITHUB, line) or re.fullmatch(_SEE, line, flags=re.MULTILINE):
            into = kept
        into.append(line)
    return "\n".join(kept), list(_messages(items))


def _messages(items: list[list[str]]) -> Iterator[str]:
    import textwrap

    for header, *body in items:
        yield "\n".join([header, textwrap.dedent("\n".join(body)) if body else ""]).rstrip()
