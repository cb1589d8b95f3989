"""What was deleted from a registry, or would be."""

from __future__ import annotations

from collections import Counter

from build import console
from build.columns import Column
from build.images.image import short
from build.release.clean import Cleaned
from build.release.leftovers import NOT_OURS


def cleaned(result: Cleaned, *, json: bool, dry_run: bool) -> None:
    """Print what was deleted, or with `dry_run` would be, what stays, and which command frees the disk then."""
    if json:
        console.result(result)
        return
    verb = "would be deleted" if dry_run else "deleted"
    if result.deleted:
        rows = [(each.repository, each.tag, short(each.digest), each.kind, each.why) for each in result.deleted]
        console.table(
            ("repository", Column("tag", yields=1), Column("digest", yields=2), "what", Column("why", prose=True)), rows
        )
    counts = Counter(each.why for each in result.kept if each.why != NOT_OURS)
    for why, count in counts.items():
        console.note(f"{count} {'tag stays' if count == 1 else 'tags stay'}: {why}")
    for each in result.kept:
        if each.why == NOT_OURS:
            console.note(f"{each.repository}:{each.tag} stays: {NOT_OURS}")
    if not result.deleted:
        console.sentence(f"nothing to delete in {result.registry}")
        return
    console.sentence(f"{len(result.deleted)} {verb} from {result.registry}")
    if not dry_run:
        console.note("the disk is freed when the registry collects its garbage, while nobody pushes:")
        console.note(f"  {result.frees}")
        console.note("never with --delete-untagged: it deletes the platforms of the images that stay")
