"""The diagrams of the pages show what the manifest and the tables say."""

from __future__ import annotations

import re

from build.config.load import load
from build.deploy.steps import STEPS
from tests.support.project import REPOSITORY

PAGES = REPOSITORY / "docs/pages"
MANIFEST = load(REPOSITORY, {}, local=False)


def _diagram(page: str, first: str) -> str:
    """Return the diagram of a page that has this line."""
    blocks = re.findall(r"^```mermaid\n(.*?)^```$", (PAGES / page).read_text(encoding="utf-8"), re.M | re.S)
    (block,) = (block for block in blocks if first in block)
    return str(block)


def _labels(text: str) -> dict[str, str]:
    """Return node → label."""
    return {
        node: label.strip("{}[]() ")
        for node, label in re.findall(r"(\w+)([\[({]{1,2}[^\]\n]+?[\])}]{1,2})(?=\s|$)", text)
    }


def test_the_networks_diagram_is_the_manifest_s() -> None:
    """Each service is in the network that it has, with the ports that it publishes, and each dependency is an arrow."""
    text = _diagram("operating/running.md", "network internal")
    inner = text.partition("subgraph internal")[2].partition("end\n")[0]
    nodes = {label: node for node, label in _labels(text).items()}
    ports: dict[str, list[int]] = {}
    arrows = set()
    for owner, container in MANIFEST.containers().values():
        ports.setdefault(owner, []).append(container.published)
        for peer in container.depends_on:
            arrows.add((owner, peer))

    assert {name for name in MANIFEST.services if f"[{name}]" in inner} == {
        name for name, service in MANIFEST.services.items() if "internal" in service.networks
    }
    drawn = dict(re.findall(r'host -- "([\d, ]+)" --> (\w+)', text))
    assert {nodes[name]: sorted(listed) for name, listed in ports.items()} == {
        node: sorted(map(int, listed.split(", "))) for listed, node in drawn.items()
    }
    lines = set(re.findall(r"^ +(\w+) --> (\w+)$", text, re.M))
    assert {(nodes[one], nodes[other]) for one, other in arrows} == lines


def test_the_release_diagram_has_the_steps_of_the_table() -> None:
    """Every step of the table is drawn, and no other."""
    page = (PAGES / "releasing.md").read_text(encoding="utf-8")
    table = page.partition("| Step | Does |")[2].partition("\n\n")[0]
    steps = re.findall(r"^\| ([^|]+?) \|", table, re.M)
    labels = set(_labels(_diagram("releasing.md", "flowchart TB")).values())

    assert {label for label in labels if "nothing" not in label and "taken" not in label} == set(steps)


def test_the_floats_of_the_versions_diagram_are_right() -> None:
    """The table below the diagram has its versions, and each float names the highest stable release of its line so far."""
    page = (PAGES / "releasing.md").read_text(encoding="utf-8")
    tagged = re.findall(r'<br>v([^"]+)"', _diagram("releasing.md", "flowchart LR"))
    table = page.partition("| Released, in this order |")[2].partition("\n\n")[0]
    head = [cell.strip(" `").rpartition(" `")[2] for cell in table.splitlines()[0].strip("| ").split("|")]
    rows = [
        [cell.strip() for cell in line.removeprefix("|").removesuffix("|").split("|")]
        for line in table.splitlines()[2:]
    ]
    released = [row[0].partition(",")[0] for row in rows]

    assert released == tagged
    for number, row in enumerate(rows, start=1):
        stable = sorted(tuple(map(int, one.split("."))) for one in released[:number] if "-" not in one)
        for line, shown in zip(head, row[1:], strict=True):
            prefix = tuple(map(int, line.split(".")))
            matching = [one for one in stable if one[: len(prefix)] == prefix]
            assert shown == (".".join(map(str, matching[-1])) if matching else ""), (row[0], line)


def test_the_page_of_deploys_has_the_steps_of_the_code() -> None:
    """The table names them in their order, and the diagram draws them in that order."""
    keys = [step.key for step in STEPS]
    page = (PAGES / "deploying/index.md").read_text(encoding="utf-8")
    table = page.partition("| Step | Does |")[2].partition("\n\n")[0]
    chains = re.findall(r"^ +(\w+(?: --> \w+){2,})$", _diagram("deploying/index.md", "journal --> "), re.M)

    assert re.findall(r"^\| (\w+) \|", table, re.M) == keys
    assert " --> ".join(chains).split(" --> ") == keys
