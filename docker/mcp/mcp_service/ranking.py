"""BM25 over sections: small, in memory, the same answer for the same words."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable

from mcp_service.pages import Section

_WORD = re.compile(r"\w+")
_HUMPS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_K1, _B = 1.4, 0.6
_HEADING_WEIGHT, _TITLE_WEIGHT = 4, 2
_SNIPPET = 320
# Words of a question that say nothing about its subject.
_QUESTION = """a an and are as at be by can do does for from how i in is it of on or that the this to was what when
where which who why with"""
_SILENT = frozenset(_QUESTION.split())


def words(text: str) -> list[str]:
    """Lower-case words; CamelCase and snake_case give their parts as well, and plurals their singular."""
    found: list[str] = []
    for word in _WORD.findall(text):
        found.append(_stem(word.casefold()))
        parts = _HUMPS.findall(word)
        if len(parts) > 1:
            found += [_stem(part.casefold()) for part in parts if len(part) > 1]
    return found


def _stem(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


class Index:
    """A heading counts as its words said four times, the page's title as its words said twice."""

    def __init__(self, sections: Iterable[Section]) -> None:
        self.sections = list(sections)
        self.postings: dict[str, list[tuple[int, int]]] = defaultdict(list)
        self.lengths: list[int] = []
        for number, section in enumerate(self.sections):
            counts = Counter(words(section.text))
            for weight, text in ((_HEADING_WEIGHT, section.heading), (_TITLE_WEIGHT, section.title)):
                for word in words(text):
                    counts[word] += weight
            self.lengths.append(counts.total())
            for word, count in counts.items():
                self.postings[word].append((number, count))
        self.average = sum(self.lengths) / len(self.lengths) if self.lengths else 1.0

    def search(self, query: str, limit: int) -> tuple[list[tuple[Section, float]], int]:
        """The best sections with their scores, and how many hold any of the words."""
        scores: dict[int, float] = defaultdict(float)
        asked = dict.fromkeys(words(query))
        for word in [word for word in asked if word not in _SILENT] or asked:
            # A word that no page has may still be the beginning of one that some page has.
            for term, share in [(word, 1.0)] if word in self.postings else self._longer(word):
                self._add(scores, term, share)
        best = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
        return [(self.sections[number], score) for number, score in best[:limit]], len(best)

    def _longer(self, word: str) -> list[tuple[str, float]]:
        return [(term, 0.5) for term in self.postings if term.startswith(word)] if len(word) >= 3 else []

    def _add(self, scores: dict[int, float], term: str, share: float) -> None:
        found = self.postings[term]
        rarity = math.log(1 + (len(self.sections) - len(found) + 0.5) / (len(found) + 0.5))
        for number, count in found:
            length = 1 - _B + _B * self.lengths[number] / self.average
            scores[number] += share * rarity * count * (_K1 + 1) / (count + _K1 * length)

    def snippet(self, section: Section, query: str) -> str:
        """The lines around the one that holds most of the words."""
        asked = set(words(query))
        lines = [line for line in section.text.splitlines() if line.strip()]
        if not lines:
            return ""
        best = max(range(len(lines)), key=lambda number: (len(asked & set(words(lines[number]))), -number))
        text = "\n".join(lines[max(0, best - 1) : best + 3])
        return text if len(text) <= _SNIPPET else text[: _SNIPPET - 1] + "…"
