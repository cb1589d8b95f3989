"""The states a clone can be in, each with a defined outcome: shallow, tagless, detached, dirty, stray files."""

from __future__ import annotations

from pathlib import Path

import pytest

from build.errors import RepositoryError
from build.git import history as git_history
from build.git import status as git_status
from build.git.remote import tags_containing
from build.images.build import snapshots
from tests.support.clones import clone, last, read, reasons
from tests.support.project import Project


def refuse(project: Project) -> RepositoryError:
    """Return the error of a task that needs the whole history."""
    manifest = project.load()
    with pytest.raises(RepositoryError) as caught:
        git_history.require_history(project.root, git_history.read(manifest), manifest.release)
    return caught.value


@pytest.fixture
def released(project: Project) -> Project:
    """A project with release 1.4.0 and one commit after it."""
    project.git("tag", "--annotate", "--message", "x", "v1.4.0")
    project.commit("fix: more")
    return project


def test_g1_a_shallow_clone_is_refused_with_the_fetch_command(released: Project, tmp_path: Path) -> None:
    """V1: a clone of depth 1 has no version, neither for a release nor for a build; never 0.0.1."""
    shallow = clone(released, tmp_path / "shallow", "--depth", "1")

    assert "git fetch --unshallow --tags" in refuse(shallow).hint
    with pytest.raises(RepositoryError, match="shallow clone"):
        snapshots(shallow.load(), read(shallow))


def test_g1_the_fetch_command_repairs_a_shallow_clone(released: Project, tmp_path: Path) -> None:
    """V1: the command in the message completes the clone."""
    shallow = clone(released, tmp_path / "shallow", "--depth", "1")

    shallow.git("fetch", "--quiet", "--unshallow", "--tags")

    assert last(shallow) == ("1.4.0", 1, ["more"])


def test_g1_a_tagless_clone_is_refused_with_the_fetch_command(released: Project, tmp_path: Path) -> None:
    """V1: no tag here and some on the remote is a clone without its tags, not a first release."""
    tagless = clone(released, tmp_path / "tagless", "--no-tags")
    error = refuse(tagless)

    assert "origin has 1" in str(error)
    tagless.git(*error.hint.split()[1:])
    assert last(tagless) == ("1.4.0", 1, ["more"])


def test_g1_before_the_first_release_a_clone_is_not_refused(project: Project, tmp_path: Path) -> None:
    """V1: no tag anywhere means a first release, also in a clone, and also if the remote is unreachable."""
    fresh = clone(project, tmp_path / "fresh")
    manifest = fresh.load()
    git_history.require_history(fresh.root, git_history.read(manifest), manifest.release)

    fresh.git("remote", "set-url", "origin", f"file://{tmp_path}/gone")

    git_history.require_history(fresh.root, git_history.read(manifest), manifest.release)
    assert last(fresh) == ("None", 1, ["Start"])


def test_a_detached_head_has_versions_and_no_branch(released: Project) -> None:
    """A detached checkout, as in CI, has a version like any other; only its branch is unknown."""
    released.git("switch", "--quiet", "--detach")

    assert read(released).branch is None
    assert last(released) == ("1.4.0", 1, ["more"])


@pytest.mark.parametrize("staged", [False, True])
def test_g2_a_changed_file_makes_the_tree_dirty(released: Project, staged: bool) -> None:
    """V2: a tracked file that differs from the commit is named, and the snapshot says .dirty."""
    released.write("docker/web/Dockerfile", "FROM scratch\nLABEL a=b\n")
    if staged:
        released.git("add", "--all")
    history = read(released)

    assert (history.dirty, reasons(history)) == (True, {"docker/web/Dockerfile": "changed"})
    assert snapshots(released.load(), history)["web"].endswith(".dirty")


def test_g2_a_renamed_and_a_deleted_file_are_named(released: Project) -> None:
    """V2: a rename is reported under its new path, a removal under its old one, and unusual names unchanged."""
    released.write('docker/web/größe "1".txt', "x" * 50)
    released.write("docker/web/gone.txt", "y" * 50)
    released.write("? stray.txt", "z" * 50)
    released.commit("More")
    released.git("mv", 'docker/web/größe "1".txt', "docker/web/new name.txt")
    released.git("mv", "? stray.txt", "found.txt")
    (released.root / "docker/web/gone.txt").unlink()

    history = read(released)

    assert history.changed == ("found.txt",)
    assert reasons(history) == {
        'docker/web/größe "1".txt': "deleted", "docker/web/gone.txt": "deleted",
        "docker/web/new name.txt": "not in the commit",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "stray"),
    [
        ("docker/web/stray.txt", "docker/web/stray.txt"),
        ("docker/web/new/stray.txt", "docker/web/new/"),
        ("docker/web/notes.md", ""),
        ("docker/web/kept/yes.txt", "docker/web/kept/"),
        ("docker/web/kept/notes.md", "docker/web/kept/"),  # the folder is sent, empty
        ("stray.txt", ""),
        ("docker/other/stray.txt", ""),
    ],
)
def test_an_untracked_file_counts_when_it_enters_a_build_context(released: Project, path: str, stray: str) -> None:
    """An untracked file makes the tree dirty only if .dockerignore lets it into a build."""
    released.write("docker/web/.dockerignore", "*.md\n**/*.md\n!never.md\n")
    released.commit("Ignore")
    released.write(path, "x")
    history = read(released)

    assert set(reasons(history)) == ({stray} if stray else set())
    assert history.dirty == bool(stray)


def test_an_untracked_folder_around_a_context_counts(empty_project: Project) -> None:
    """A service whose whole folder is untracked makes the tree dirty as well."""
    empty_project.commit("Start")
    empty_project.service("web", 18980)

    assert reasons(read(empty_project))["docker/web/Dockerfile"] == "not in the commit"


def test_a_file_of_a_shared_stage_and_of_a_source_counts(project: Project) -> None:
    """Every folder that an image is built from is checked, not only the service's own."""
    text = (project.root / "versions.toml").read_text().replace('watched = ""', 'watched = "tree"')
    (project.root / "versions.toml").write_text(text)
    project.append('\n[stages.base]\nfolder = "docker/base"\ntarget = "base"\n')
    project.write("docker/base/Dockerfile", "FROM scratch AS base\n")
    project.write("tree/known", "x")
    project.service("api", 18981, contexts='{ base = "stage:base", tree = "source:watched" }')
    project.commit("feat: api")
    project.write("docker/base/stray", "x")
    project.write("tree/stray", "x")

    assert set(reasons(read(project))) == {"docker/base/stray", "tree/stray"}


def test_a_project_below_the_repository_s_top(tmp_path: Path, project: Project) -> None:
    """Paths are relative to the manifest's folder, wherever the repository's root is."""
    outer = Project(tmp_path / "outer")
    outer.root.mkdir()
    outer.git("init", "--quiet", "--initial-branch", "main")
    inner = Project(outer.root / "inner")
    project.git("worktree", "list")
    for name in ("versions.toml", "docker/web/Dockerfile", ".gitignore"):
        inner.write(name, (project.root / name).read_text())
    outer.git("add", "--all")
    outer.git("commit", "--quiet", "--message", "Start")
    inner.write("docker/web/stray.txt", "x")
    inner.write("docker/web/Dockerfile", "FROM scratch\n# changed\n")
    history = read(inner)

    assert reasons(history) == {"docker/web/stray.txt": "not in the commit", "docker/web/Dockerfile": "changed"}
    again = git_status.read(inner.load())
    assert (again.commit, again.branch) == (history.commit, history.branch)
    assert (again.differences, again.changed) == (history.differences, history.changed)


def test_a_hook_s_variables_do_not_decide(released: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Called from a git hook of another repository, the project's own history is read."""
    other = tmp_path / "other"
    other.mkdir()
    Project(other).git("init", "--quiet")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git/index"))
    history = read(released)
    monkeypatch.undo()

    assert str(history.lines[next(iter(history.lines))].last) == "1.4.0"


def test_a_person_s_settings_do_not_decide(released: Project) -> None:
    """A user's log.showSignature, log.decorate, status and colour settings do not affect what is read."""
    head, _, message = released.git("cat-file", "commit", "HEAD").partition("\n\n")
    signature = "gpgsig -----BEGIN PGP SIGNATURE-----\n \n iQ==\n -----END PGP SIGNATURE-----"
    signed = released.write(".git/signed", f"{head}\n{signature}\n\n{message}\n")
    released.git("reset", "--quiet", "--hard", released.git("hash-object", "-t", "commit", "-w", str(signed)))
    before = read(released)
    for key, value in {
        "log.showSignature": "true", "log.decorate": "full", "color.ui": "always",
        "status.showUntrackedFiles": "no", "status.branch": "false", "core.quotePath": "true", "status.showStash": "true",
        "log.follow": "true", "log.showRoot": "false", "format.pretty": "oneline", "log.date": "relative", "core.abbrev": "4",
        "column.ui": "always", "tag.sort": "-version:refname", "versionsort.suffix": "-rc", "i18n.logOutputEncoding": "latin1",
        "diff.ignoreSubmodules": "all", "advice.detachedHead": "false", "core.fsmonitor": "false-monitor",
    }.items():  # fmt: skip
        released.git("config", key, value)
    released.write("docker/web/stray.txt", "x")
    after = read(released)

    assert after.lines == before.lines
    assert set(reasons(after)) == {"docker/web/stray.txt"}


def test_a_person_s_way_to_the_remote_is_not_the_remote_s_name(released: Project) -> None:
    """A mirror or a token in url.*.insteadOf is used to get there; images are labelled with the repository's own URL."""
    released.git("remote", "add", "origin", "https://git.example.invalid/a/b.git")
    released.git("config", "url.https://me:token@mirror.invalid/.insteadOf", "https://git.example.invalid/")

    assert released.git("remote", "get-url", "origin") == "https://me:token@mirror.invalid/a/b.git"
    assert read(released).remote == "https://git.example.invalid/a/b.git"


def test_a_replaced_commit_is_not_read(released: Project) -> None:
    """`git replace` is for one's own eyes: the history is that which others have under the same names."""
    before = read(released)
    text = released.git("cat-file", "commit", "HEAD").replace("fix: more", "feat!: more")
    other = released.git("hash-object", "-t", "commit", "-w", str(released.write(".git/other", f"{text}\n")))
    released.git("replace", "HEAD", other)

    assert "feat!" in released.git("log", "-1", "--format=%s")
    assert read(released).lines == before.lines


def test_tags_that_contain_a_commit(released: Project) -> None:
    """Of the given tags, those that contain the commit are returned, whatever the user's column settings."""
    first = released.git("rev-parse", "HEAD~1")
    released.git("config", "column.ui", "always")
    released.git("tag", "v1.4.1")
    released.git("tag", "v1.4.2", "HEAD")
    released.git("tag", "other")
    asked = ["v1.4.0", "v1.4.1", "v1.4.2", "v9.9.9"]

    assert tags_containing(released.root, first, asked) == ["v1.4.0", "v1.4.1", "v1.4.2"]
    assert tags_containing(released.root, released.git("rev-parse", "HEAD"), asked) == ["v1.4.1", "v1.4.2"]


def test_a_password_in_the_remote_s_url_is_not_shown(released: Project) -> None:
    """The URL ends up in an image's label: user and password are removed from it, an ssh user stays."""
    released.git("remote", "add", "origin", "https://me:hunter2@git.example.invalid/a/b.git")
    assert read(released).remote == "https://git.example.invalid/a/b.git"

    for user, shown in (("git", "git@"), ("git:hunter2", "git@")):
        released.git("remote", "set-url", "origin", f"ssh://{user}@git.example.invalid/a/b.git")
        assert read(released).remote == f"ssh://{shown}git.example.invalid/a/b.git"

    for user in ("me:hunt@hunter2", "me:5%hunter2", "hunter2", "me:@"):
        released.git("remote", "set-url", "origin", f"https://{user}@git.example.invalid/a/b.git?token=hunter2#hunter2")
        assert read(released).remote == "https://git.example.invalid/a/b.git"


def test_no_repository(empty_project: Project) -> None:
    """A folder outside git is refused with the command that fixes it."""
    with pytest.raises(RepositoryError, match="not a git repository") as caught:
        read(empty_project)

    assert "git init" in caught.value.hint


def test_no_commit_yet(empty_project: Project) -> None:
    """A repository without a commit has nothing to name an image after."""
    empty_project.git("init", "--quiet")

    with pytest.raises(RepositoryError, match="no commit yet"):
        read(empty_project)
