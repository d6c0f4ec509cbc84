"""`get`: a file or folder of another repository, at any revision, put somewhere and tracked nowhere."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.cli.inprocess import InProcess, in_process  # noqa: F401 - the fixture `cli` of this file
from tests.cli.killing import count_changes, moments, run_child, start
from tests.cli.place import Place, make_place, temps_in
from tests.cli.sources import Origin, cached_repositories, make_origin
from tests.conftest import Cli, tree_of
from tests.servers.githttp import GitHttp, serving

import dvc_like
from dvc_like.config import edit
from dvc_like.errors import CorruptData, DataMissing, RemoteError, UnsafePath, UsageError, WouldOverwrite


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitHttp]:
    with serving(tmp_path) as found:
        yield found


@pytest.fixture
def origin(tmp_path: Path, server: GitHttp, monkeypatch: pytest.MonkeyPatch) -> Origin:
    made = make_origin(tmp_path / "origin", server, tmp_path / "origin-store")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return made


def test_a_folder_comes_whole_and_leaves_nothing_else(origin: Origin, cli: InProcess) -> None:
    done = cli("get", origin.url, "data")
    assert "5 files" in done.out
    assert tree_of("data") == origin.data("data")
    assert os.listdir() == ["data"]
    assert os.access("data/a.txt", os.W_OK)


def test_a_place_that_cannot_be_looked_at_is_not_said_to_be_missing(
    origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkdir("sub")
    folder, real = os.path.abspath("sub"), os.stat

    def failing(path: str | Path, **options: object) -> os.stat_result:
        if path == folder:
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        return real(path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "stat", failing)
    with pytest.raises(OSError, match="Input/output") as caught:
        dvc_like.get("model.bin", "sub/model", repo=origin.url)
    assert caught.value.filename == folder


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("model.bin", "model 1"),
        ("model.bin.meta", "model 1"),
        ("data/sub/c.txt", "gamma"),
        ("notes.txt", "by Git alone"),
        ("./code//deep/y.py", "y"),
    ],
)
def test_a_single_file_tracked_or_part_of_a_dataset_or_gits_own(origin: Origin, path: str, content: str) -> None:
    done = dvc_like.get(path, "out", repo=origin.url)
    assert Path("out").read_text() == content
    assert (done.out, done.files, done.size) == (str(Path("out").absolute()), 1, len(content))
    assert os.listdir() == ["out"]


def test_part_of_a_dataset_and_folders_of_git(origin: Origin) -> None:
    dvc_like.get("data/sub", repo=origin.url)
    dvc_like.get("code", repo=origin.url)
    assert tree_of(".") == {
        "sub": ("folder", False, b""),
        "sub/b.txt": ("file", False, b"beta"),
        "sub/c.txt": ("file", False, b"gamma"),
        "code": ("folder", False, b""),
        "code/x.py": ("file", False, b"print()"),
        "code/deep": ("folder", False, b""),
        "code/deep/y.py": ("file", False, b"y"),
    }


def test_a_folder_with_targets_and_files_of_git_is_what_a_clone_with_data_has(origin: Origin) -> None:
    origin.write({"mixed/readme.md": "r", "mixed/big/1": "one", "mixed/x.bin": "x"})
    origin.add("mixed/big", "mixed/x.bin")
    origin.push()
    origin.save()
    dvc_like.get("mixed", repo=origin.url)
    assert sorted(tree_of("mixed")) == ["big", "big/1", "readme.md", "x.bin"]


@pytest.mark.parametrize("kind", ["tag", "branch", "commit", "abbreviated", "relative"])
def test_any_revision(origin: Origin, kind: str) -> None:
    first = origin.git("rev-parse", "HEAD")
    origin.git("branch", "old")
    origin.change({"model.bin": "model 2"})
    origin.change({"model.bin": "model 3"})
    rev = {"tag": "v1", "branch": "old", "commit": first, "abbreviated": first[:8], "relative": "main~2"}[kind]
    done = dvc_like.get("model.bin", repo=origin.url, rev=rev)
    assert (Path("model.bin").read_text(), done.commit) == ("model 1", first)
    dvc_like.get("model.bin", "now", repo=origin.url)
    assert Path("now").read_text() == "model 3"


@pytest.mark.parametrize("settings", [{"uploadpack.allowFilter": "false"}, {"protocol.version": "0"}])
@pytest.mark.parametrize("kind", ["branch", "commit"])
def test_a_server_that_knows_less_is_asked_for_more(
    origin: Origin, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], kind: str, home: Path
) -> None:
    first = origin.git("rev-parse", "HEAD")
    origin.change({"model.bin": "model 2"})
    for name, text in settings.items():
        origin.git("config", name, text)
        subprocess.run(["git", "config", "--global", name, text], check=True)
    dvc_like.get("model.bin", repo=origin.url, rev=first if kind == "commit" else None)
    assert Path("model.bin").read_text() == ("model 1" if kind == "commit" else "model 2")
    dvc_like.get("notes.txt", repo=origin.url)


def test_a_repository_whose_objects_have_other_names(tmp_path: Path, server: GitHttp) -> None:
    repo = tmp_path / "new"
    subprocess.run(["git", "init", "-q", "--object-format=sha256", "-b", "main", str(repo)], check=True)
    made = Place(repo)
    made.write({"x": "1"})
    first = made.save()
    made.write({"x": "second"})
    made.save()
    os.chdir(tmp_path)
    for rev, text in ((None, "second"), (first, "1"), (first[:9], "1"), ("main~1", "1")):
        done = dvc_like.get("x", repo=server.url("new/.git"), rev=rev, force=True)
        assert (Path("x").read_text(), len(str(done.commit))) == (text, 64)


def test_a_repository_on_this_machine_is_read_itself(origin: Origin, home: Path) -> None:
    origin.write({"model.bin": "model 2"})
    origin.commit()  # neither committed to Git nor pushed
    dvc_like.get("model.bin", repo=origin.root)
    dvc_like.get("model.bin", "old", repo="../origin", rev="v1")
    assert (Path("model.bin").read_text(), Path("old").read_text()) == ("model 2", "model 1")
    assert not (home / "cache").exists()
    assert origin.server.requests == 0


def test_a_repository_on_this_machine_needs_no_remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_place(tmp_path / "alone")
    made.track({"data/x": "1"})
    monkeypatch.chdir(tmp_path)
    for rev in (None, "HEAD"):
        dvc_like.get("data", repo="alone", rev=rev, force=True)
    assert tree_of("data") == made.data("data")


def test_a_repository_on_this_machine_without_its_data_fetches_it(origin: Origin, tmp_path: Path) -> None:
    subprocess.run(["git", "clone", "-q", str(origin.root), str(tmp_path / "bare-of-data")], check=True)
    dvc_like.get("data", repo=tmp_path / "bare-of-data")
    assert tree_of("data") == origin.data("data")


def test_the_project_here_is_the_default(origin: Origin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    origin.change({"model.bin": "model 2"})
    monkeypatch.chdir(origin / "data")
    dvc_like.get("../model.bin", tmp_path / "old", rev="v1")
    assert (tmp_path / "old").read_text() == "model 1"


def test_a_pointer_of_git_lfs_is_not_taken_for_the_file(origin: Origin, cli: InProcess) -> None:
    origin.write({"code/big.bin": f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 5\n"})
    origin.save()
    for path in ("code", "code/big.bin"):
        assert "LFS" in cli("get", origin.url, path, code=2).err
    assert os.listdir() == []


@pytest.mark.parametrize("inside", [False, True])
def test_a_git_repository_without_a_project(place: Place, tmp_path: Path, cli: InProcess, inside: bool) -> None:
    repo = (place.root if inside else tmp_path) / "plain"  # of a project around it nothing is meant
    subprocess.run(["git", "init", "-q", str(repo)], check=True)
    (repo / "x").write_text("1")
    subprocess.run(["git", "-C", str(repo), "add", "x"], check=True)
    subprocess.run(["git", "-C", str(repo), "commit", "-q", "-m", "1"], check=True)
    (repo / "sub").mkdir()
    os.chdir(tmp_path)
    cli("get", repo, "x", "--rev", "HEAD")
    cli("get", repo / "sub", "y", code=2)
    assert (tmp_path / "x").read_text() == "1"


def test_a_project_in_a_subfolder_is_found_by_the_path(tmp_path: Path, server: GitHttp, cli: InProcess) -> None:
    repo = tmp_path / "mono"
    subprocess.run(["git", "init", "-q", str(repo)], check=True)
    cli("init", "--subdir", "part", cwd=repo)
    part = Place(repo / "part")
    part.use_store(tmp_path / "part-store")
    part.write({"x": "in a part"})
    part.add("x")
    part.push()
    part.save()
    os.chdir(tmp_path)
    dvc_like.get("part/x", repo=server.url("mono/.git"))
    dvc_like.get("part/x", "y", repo=repo)
    assert (Path("x").read_text(), Path("y").read_text()) == ("in a part", "in a part")


# ------------------------------------------------------------------------------ where it goes


def test_what_is_there_is_not_touched_unless_forced(origin: Origin, cli: InProcess) -> None:
    Path("data").mkdir()
    Path("data/a.txt").write_text("mine")
    Path("data/own.txt").write_text("own")
    before = tree_of(".")
    assert "data" in cli("get", origin.url, "data", "-o", "data/../data/a.txt", code=5).err
    with pytest.raises(WouldOverwrite):
        dvc_like.get("data", repo=origin.url)
    assert tree_of(".") == before
    dvc_like.get("data", repo=origin.url, force=True)
    assert tree_of("data") == {**origin.data("data"), "own.txt": ("file", False, b"own")}
    dvc_like.get("model.bin", "data/a.txt", repo=origin.url, force=True)
    assert Path("data/a.txt").read_text() == "model 1"


def test_a_folder_is_put_into_and_one_that_is_not_there_is_not_made(origin: Origin) -> None:
    Path("into").mkdir()
    dvc_like.get("data/sub", "into", repo=origin.url)
    assert Path("into/sub/b.txt").read_text() == "beta"
    for out in ("gone/x", "gone/"):
        with pytest.raises(UsageError, match="gone"):
            dvc_like.get("model.bin", out, repo=origin.url)


def test_nothing_is_written_through_a_link(origin: Origin, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    Path("data").mkdir()
    Path("data/sub").symlink_to(tmp_path / "elsewhere")
    dvc_like.get("data", repo=origin.url, force=True)
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert tree_of("data") == origin.data("data")


def test_a_folder_that_somebody_put_in_the_way_is_not_written_to(origin: Origin, tmp_path: Path) -> None:
    origin.server.cut = 0
    with pytest.raises(RemoteError):
        dvc_like.get("model.bin", repo=origin.url)
    origin.server.cut = None
    (tmp_path / "theirs").mkdir()
    aside = f".dvc-like-tmp-get-{hashlib.sha256(b'model.bin').hexdigest()[:16]}"
    Path(aside).symlink_to(tmp_path / "theirs")
    with pytest.raises(UnsafePath, match="get-"):
        dvc_like.get("model.bin", repo=origin.url)
    assert list((tmp_path / "theirs").iterdir()) == []


# ------------------------------------------------------------------------------ what is not there


def test_a_path_that_is_not_there_names_near_ones(origin: Origin, cli: InProcess) -> None:
    for path, near in (("modle.bin", "model.bin"), ("data/sub/bb.txt", "data/sub/b.txt"), ("dat", "data")):
        done = cli("get", origin.url, path, code=2)
        assert path in done.err
        assert near in done.err.partition("hint:")[2]
    assert os.listdir() == []


def test_a_revision_that_is_not_there_names_near_ones(origin: Origin, cli: InProcess) -> None:
    for rev in ("mian", "0" * 40, "abc1234", "v1~7", "--upload-pack=x"):
        done = cli("get", origin.url, "model.bin", f"--rev={rev}", code=2)
        assert rev in done.err
        assert {"main", "v1"} & set(done.err.partition("hint:")[2].replace(",", " ").replace(".", " ").split())


def test_what_is_typed_wrong_is_named(origin: Origin, cli: InProcess) -> None:
    done = cli("get", "../origin", "model.bin", "--rev", "v9", code=2)
    assert "../origin has no revision 'v9'" in done.err
    for path in ("..", "../model.bin", "data/../../x", "/etc/passwd", "//x"):
        assert "leads out of the repository" in cli("get", origin.url, path, code=2).err
    for path in (".", "/", "", "data/.."):
        assert "not its top" in cli("get", origin.url, path, code=2).err
    assert os.listdir() == []


def test_bytes_that_the_remote_lost_are_named_with_the_way_out(origin: Origin, cli: InProcess, tmp_path: Path) -> None:
    (tmp_path / "origin-store").rename(tmp_path / "lost")
    (tmp_path / "origin-store").mkdir()
    done = cli("get", origin.url, "model.bin", code=4)
    assert "model.bin" in done.err
    assert origin.url in done.err
    assert "dvc-like push" in done.err
    assert os.listdir() == []


def test_bytes_that_were_forged_are_refused(origin: Origin, tmp_path: Path) -> None:
    for path in (tmp_path / "origin-store/files").rglob("*"):
        if path.is_file():
            path.chmod(0o644)
            path.write_bytes(b"forged!")
    with pytest.raises(CorruptData):
        dvc_like.get("model.bin", repo=origin.url)
    assert not Path("model.bin").exists()


def test_a_remote_of_that_repository_may_be_named(origin: Origin, cli: InProcess, tmp_path: Path) -> None:
    origin.use_store(tmp_path / "empty", "other")
    origin.save()
    cli("get", origin.url, "model.bin", code=4)
    cli("get", origin.url, "model.bin", "-r", "storage")
    assert "other, storage" in cli("get", origin.url, "data", "-r", "nope", code=2).err


def test_a_repository_without_a_remote_or_with_one_beside_it(origin: Origin) -> None:
    edit(str(origin / ".dvc-like/config"), {"remote.storage.url": "../origin-store"})
    origin.save()
    with pytest.raises(DataMissing, match=r"\.\./origin-store"):
        dvc_like.get("model.bin", repo=origin.url)
    edit(str(origin / ".dvc-like/config"), {"core.remote": None})
    origin.save()
    with pytest.raises(DataMissing, match="no default remote"):
        dvc_like.get("model.bin", repo=origin.url)
    dvc_like.get("notes.txt", repo=origin.url)


def test_unreachable_private_and_no_repository_at_all(origin: Origin, cli: InProcess, tmp_path: Path) -> None:
    done = cli("get", "ssh://nobody@127.0.0.1:1/x.git", "model.bin", code=6)
    assert "ssh" in done.err.partition("cannot be reached")[2].partition("hint:")[0], "the reason is told"
    assert "Please make sure" not in done.err
    origin.server.deny = True
    done = cli("get", origin.url, "model.bin", code=6)
    assert origin.url in done.err
    assert "private" in done.err
    origin.server.deny = False
    assert "nowhere" in cli("get", origin.server.url("nowhere"), "x", code=6).err
    cli("get", "http://127.0.0.1:1/r.git", "x", code=6)
    assert "nothing" in cli("get", tmp_path / "nothing", "x", code=2).err
    assert os.listdir() == []


def test_without_a_network_what_is_pinned_and_known_is_still_there(origin: Origin, tmp_path: Path) -> None:
    done = dvc_like.get("model.bin", repo=origin.url)
    origin.server.deny = True
    dvc_like.get("model.bin", "again", repo=origin.url, rev=done.commit)
    with pytest.raises(RemoteError):
        dvc_like.get("model.bin", "third", repo=origin.url)


def test_a_password_in_the_address_is_neither_shown_nor_kept(origin: Origin, cli: InProcess, home: Path) -> None:
    url = origin.server.url("origin/.git", "ann:s3cret")
    cli("get", url, "model.bin")
    origin.server.deny = True
    for words in (("get", url, "x"), ("get", url, "x", "--json"), ("get", url, "x", "--rev", "nope")):
        done = cli(*words, code=6)
        assert "s3cret" not in done.out + done.err
    kept = [path for path in (home / "cache").rglob("*") if path.is_file() and b"s3cret" in path.read_bytes()]
    assert kept == []


@pytest.mark.parametrize(
    "place", ["ext::sh -c 'touch pwned'", "--upload-pack=touch pwned", "ssh://-oProxyCommand=x/y", "evil://h/x"]
)
def test_an_address_that_is_a_command_is_refused(cli: InProcess, tmp_path: Path, place: str) -> None:
    os.chdir(tmp_path)
    cli("get", "--", place, "x", code=7)
    assert not (tmp_path / "pwned").exists()


def many(origin: Origin) -> None:
    origin.write({f"many/{n}/{m}": f"{n} {m}" for n in range(4) for m in range(10)})
    origin.add("many")
    origin.push()
    origin.save()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_what_is_killed_or_interrupted_goes_on_and_leaves_nothing(origin: Origin, cli: InProcess, number: int) -> None:
    many(origin)
    words = ["get", origin.url, "many"]
    total = count_changes([*words, "-o", "first"], Path.cwd())
    shutil.rmtree("first")
    for at in moments(total, 8):
        shutil.rmtree(Path(os.environ["XDG_CACHE_HOME"]) / "dvc-like", ignore_errors=True)
        run_child(at, words, Path.cwd(), number)
        if not Path("many").exists():  # it appears whole, or not at all
            cli(*words)
        assert tree_of("many") == origin.data("many"), at
        assert [name for name in os.listdir() if name != "many" and "get" not in name] == []
        shutil.rmtree("many")


def test_interrupted_while_git_talks_and_again(origin: Origin, cli: InProcess) -> None:
    server = origin.server
    for number in (signal.SIGINT, signal.SIGKILL):
        server.arrived.clear()
        server.hold.clear()
        running = start(["get", origin.url, "model.bin"], Path.cwd())
        assert server.arrived.wait(60)
        running.send_signal(number)
        assert running.wait(60) in (130, -number)
        server.hold.set()
        running.communicate()
    cli("get", origin.url, "model.bin")
    assert os.listdir() == ["model.bin"]


def test_an_answer_that_breaks_off_is_no_success_and_no_harm(origin: Origin, cli: InProcess) -> None:
    for cut in (0, 50, 300):
        origin.server.cut = cut
        cli("get", origin.url, "model.bin", code=6)
        assert os.listdir() == []
    origin.server.cut = None
    cli("get", origin.url, "model.bin")


def test_what_is_kept_of_a_repository_may_be_damaged_or_deleted(origin: Origin, home: Path) -> None:
    dvc_like.get("notes.txt", repo=origin.url)
    (folder,) = cached_repositories(home)
    for name in ("HEAD", "shallow.lock", "config"):
        (folder / ".git" / name).write_text("rubbish")
        dvc_like.get("notes.txt", repo=origin.url, force=True)
    for pack in (folder / ".git/objects/pack").iterdir():
        pack.chmod(0o644)
        pack.write_bytes(b"rubbish")
    dvc_like.get("notes.txt", repo=origin.url, force=True)
    shutil.rmtree(folder)
    dvc_like.get("notes.txt", repo=origin.url, force=True)
    assert Path("notes.txt").read_text() == "by Git alone"


def test_two_at_once_get_the_same(origin: Origin) -> None:
    with ThreadPoolExecutor(3) as pool:
        jobs = [pool.submit(Cli(), "get", origin.url, "data", "-o", f"out{n}") for n in range(3)]
        assert [job.result().code for job in jobs] == [0, 0, 0]
    for n in range(3):
        assert tree_of(f"out{n}") == origin.data("data")
    assert temps_in(Path()) == []
