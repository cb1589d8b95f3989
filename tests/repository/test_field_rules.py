"""Rules that came from using the toolkit: each has at least one test whose name begins with its key.

C: the commit is what is released. R: registries. E: engines and other people's environments. V: commits as people write
them. U: people at the terminal. W: other systems, and words. D: documentation. S: an owner's own tree. P: the services
under real use, whose tests are beside them. Several keys in a name (`test_e1_e5_…`) count for each.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
FOLDERS = (TESTS, *TESTS.parent.glob("docker/*/tests"))
RULES = {
    "C1": "what a build sends is what the commit has, entry by entry",
    "C2": "a tag that nobody pushed does not count",
    "C3": "without the remote of [release] nothing is released",
    "C4": "a commit and a claim count where others can fetch them",
    "C5": "an empty value of a flag is refused",
    "C6": "a commit is released once on a line",
    "C7": "what a registry has lost holds nothing up, and one command settles it",
    "C8": "a plan is computed again and must be equal",
    "C9": "a broken or outdated answer of a registry concludes nothing",
    "C10": "no flag is ignored, no waiver is lost, no dry run guesses",
    "C11": "a failure says what it is and what helps",
    "R1": "no cookie is kept",
    "R2": "GET decides where HEAD lies or is refused",
    "R3": "every list is read to its end",
    "R4": "redirects are followed, and a login goes to no other host",
    "R5": "a record is read once at most",
    "R6": "doctor and release trust the same",
    "R7": "candidates, probes and scans leave nothing behind",
    "E1": "variables of other tools change nothing",
    "E2": "containers come back after the engine was killed",
    "E3": "one build at a time on an engine, and digests never through a shared tag",
    "E4": "a stack knows its checkout",
    "E5": "values arrive as they are written",
    "E6": "no foreign Python setting, and no stamp without what it promises",
    "E7": "a published port is said in one place",
    "E8": "a stopped task stops what it started",
    "E9": "an unhealthy container may recover, and evidence can be read",
    "E10": "bases have security updates",
    "V1": "a header that looks conventional and is not is named",
    "V2": "a revert by subject and number cancels what it names",
    "V3": "a merge's title counts where a setting says so",
    "V4": "the list in a squash body counts where a setting says so",
    "V5": "a note ends where it really ends",
    "V6": "a subject is shown as it was written",
    "U1": "a flag that would do nothing is not there",
    "U2": "alone, ./inv lists the tasks by group; the version is the checkout's",
    "U3": "names need no flag, and what is unknown is refused with the most similar",
    "U4": "a Tab completes tasks, flags and values in bash, zsh and fish",
    "U5": "tables fit, and nothing is cut",
    "U6": "marks and remedies are true after a failure in the middle",
    "U10": "a closed output is quiet",
    "U11": "a dry run says what the real run does",
    "U12": "logs are plain where nobody sees colours, and a wrong number of lines is refused",
    "U13": "every command of the README runs as it is typed",
    "U14": "only a few flags have a letter",
    "U15": "any encoding of a stream",
    "U16": "one document with result and error, by a schema",
    "U17": "a step of a build is shown by its command",
    "U18": "a long silence is broken by what is waited for",
    "U19": "nothing is shown as nothing, and no nonsense is taken",
    "W1": "the lock installs everywhere, and Trivy comes from where there is one",
    "W2": "what Windows lacks has its other half",
    "W3": "one word for one thing, and the old one is read for a version",
    "D1": "one safe thing to copy, every variable documented, recipes",
    "S1": "any tree is checked for what it declares; checks of the samples belong to the samples",
    "S2": "one filter keeps secrets and virtual environments out of every source and context",
    "S3": "a model is handed no file that the filter or git leaves out",
    "S4": "graphs are checked as at run time, and a declared one that does not load is named",
    "S5": "a slow import is pending, and becomes ready",
    "S6": "every conflict at once, a failed step's last words, a second try of what passes by itself",
    "S7": "the owner's agents join the team by a declared file",
    "S8": "an mkdocs.yml stands for what its site needs, and problems of documentation are counted by kind",
    "S9": "clients of the old servers have their routes and keys where a setting says so",
    "S10": "triggers have cooldown, batches, priority and several actions, and what can't work is refused",
    "S11": "MCP clients get a ready configuration, the token by reference",
    "S12": "browsers are let in by a setting, and a body sent as text is read as JSON",
    "P1": "a call can't take the service down",
    "P2": "only a value that is too deep is cut",
    "P3": "whatever is cut says so",
    "P4": "a program that writes to stderr and exits with 0 has not failed",
    "P5": "every pending interrupt is returned",
    "P6": "context and configurable mirror each other",
    "P7": "a value that JSON can't hold is an error in the answer",
    "P8": "no parameter is accepted and ignored",
    "P9": "a thread that waits is interrupted",
    "P10": "open streams hold no stop up",
    "P11": "an edit that keeps size and time is seen",
    "P12": "what an MCP server advertises is there, and unknown names and ids get errors",
    "P13": "the documentation's search, sitemap and 404 page",
}


def _named() -> set[str]:
    keys: set[str] = set()
    for path in (path for folder in FOLDERS for path in folder.rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if re.search(r"def test_[crevuwdsp]\d", text):
            functions = (ast.FunctionDef, ast.AsyncFunctionDef)
            names = [node.name for node in ast.walk(ast.parse(text)) if isinstance(node, functions)]
            for name in names:
                if match := re.match(r"test((?:_[crevuwdsp]\d+)+)_", name):
                    keys |= {key.upper() for key in match[1].split("_")[1:]}
    return keys


def test_each_rule_has_a_test_and_each_key_a_rule() -> None:
    """No rule is without a test of its name, and no test has a key that is in no rule."""
    assert _named() == RULES.keys()
