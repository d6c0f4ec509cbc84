"""`import-url`: from a real web server on loopback, whole and broken, and from folders of this machine."""

from __future__ import annotations

import base64
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.inprocess import InProcess
from tests.cli.place import Place, digest_of, let_settle, objects_in, temps_in
from tests.conftest import Cli
from tests.servers.certificate import Certificate
from tests.servers.web import LONG_AGO, Page, Web

import dvc_like
from dvc_like import DvcLikeError
from dvc_like.cache.incoming import RESUME_FROM
from dvc_like.meta.file import parse
from dvc_like.ops._sources import UrlSource, source_of
from dvc_like.remote import origin_http, wrap

MB = 1 << 20
BIG = random.Random(5).randbytes(RESUME_FROM + 3 * MB + 17)

run = InProcess()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let trying again cost no time in this process."""
    monkeypatch.setattr(wrap, "FIRST_DELAY", 0.001)


def source(place: Place, name: str) -> UrlSource:
    found = source_of(parse((place / f"{name}.meta").read_bytes(), name), name)
    assert isinstance(found, UrlSource)
    return found


def nothing_left(place: Place, *but: str) -> None:
    """No meta file, no data, no object and no temporary file came of it."""
    assert place.data() == {}
    assert sorted(path.name for path in place.root.glob("*.meta")) == sorted(but)
    assert temps_in(place.root) == []
    assert objects_in(place.cache) == {}


# ------------------------------------------------------------------------------ what it makes


def test_a_file_is_tracked_with_its_origin(place: Place, web: Web) -> None:
    web.pages["/data/x.csv"] = Page(b"a,b\n1,2\n", etag='"v1"')
    done = run("import-url", f"{web.url}/data/x.csv", "--json").json
    assert (place / "x.csv").read_bytes() == b"a,b\n1,2\n"
    assert source(place, "x.csv") == UrlSource(f"{web.url}/data/x.csv", etag='"v1"', size=8)
    assert (done["state"], done["moved"], done["hash"]) == ("added", 8, digest_of(b"a,b\n1,2\n"))
    assert "/x.csv" in (place / ".gitignore").read_text()
    assert place.states() == {"x.csv": "unchanged"}
    assert place.push("x.csv").objects == 1  # data like any other


def test_out_names_it_or_the_folder_it_goes_into(place: Place, web: Web) -> None:
    web.pages["/a%20b"] = Page(b"x", etag='"1"')
    (place / "here").mkdir()
    for out, found in (("named", "named"), ("new/deep/name", "new/deep/name"), ("here", "here/a b"), ("n/", "n/a b")):
        run("import-url", f"{web.url}/a%20b", out)
        assert (place / found).read_bytes() == b"x"


def test_what_a_url_may_not_hold_is_escaped(place: Place, web: Web) -> None:
    web.pages["/%C3%BC%20b/c"] = Page(b"x", etag='"1"')
    run("import-url", f"{web.url}/ü b/c?d=ä e")
    assert (place / "c").read_bytes() == b"x"
    assert web.asked[-1].path == "/%C3%BC%20b/c?d=%C3%A4%20e"


def test_undo_takes_it_back_and_saves_what_was_there(place: Place, web: Web) -> None:
    web.pages["/x"] = Page(b"theirs", etag='"1"')
    run("import-url", f"{web.url}/x")
    run("undo")
    assert place.data() == {}
    assert not (place / "x.meta").exists()
    place.write({"x": "mine"})
    assert "--force" in run("import-url", f"{web.url}/x", code=5).err
    assert len(web.asked) == 2  # refused before anything was asked
    run("import-url", f"{web.url}/x", "--force")
    assert (place / "x").read_bytes() == b"theirs"
    run("undo")
    assert (place / "x").read_bytes() == b"mine"


def test_the_same_url_again_is_a_look_and_keeps_what_the_user_wrote(place: Place, web: Web) -> None:
    web.pages["/x"] = Page(b"one", etag='"1"')
    run("import-url", f"{web.url}/x")
    with open(place / "x.meta", "a") as meta:
        meta.write("desc: mine\n")
    web.pages["/x"] = Page(b"two, longer", etag='"2"')
    assert run("import-url", f"{web.url}/x", "--json").json["state"] == "updated"
    assert (place / "x").read_bytes() == b"two, longer"
    assert source(place, "x").etag == '"2"'
    before = web.sent
    assert run("import-url", f"{web.url}/x", "--json").json["state"] == "unchanged"
    assert web.sent == before
    (place / "x").write_bytes(b"mine")
    place.add("x")
    assert "other data was recorded" in run("import-url", f"{web.url}/x", code=5).err
    assert "desc: mine" in (place / "x.meta").read_text()


def test_unsaved_edits_are_not_replaced(place: Place, web: Web) -> None:
    web.pages["/x"] = Page(b"one", etag='"1"')
    run("import-url", f"{web.url}/x")
    (place / "x").write_bytes(b"edited by hand")
    before = (place / "x.meta").read_bytes()
    web.pages["/x"] = Page(b"two", etag='"2"')
    run("import-url", f"{web.url}/x", code=5)
    assert (place / "x").read_bytes() == b"edited by hand"
    assert (place / "x.meta").read_bytes() == before


@pytest.mark.parametrize(
    ("out", "code"), [("tracked/inside", 2), ("in-git", 2), ("../outside", 2), ("x.meta", 2), (".git/x", 7)]
)
def test_where_it_cannot_be(place: Place, web: Web, out: str, code: int) -> None:
    web.pages["/x"] = Page(b"x")
    place.track({"tracked/a": "1"})
    place.write({"in-git": "2", "holds/one": "3"})
    place.git("add", "in-git")
    place.add("holds/one")
    run("import-url", f"{web.url}/x", out, code=code)
    run("import-url", f"{web.url}/holds", code=2)
    assert web.asked == []


def test_another_target_is_replaced_only_by_force(place: Place, web: Web) -> None:
    web.pages["/x"] = Page(b"theirs", etag='"1"')
    place.track({"x": "mine"})
    assert "no import of" in run("import-url", f"{web.url}/x", code=5).err, "as import does"
    run("import-url", f"{web.url}/x", "--force")
    assert (place / "x").read_bytes() == b"theirs"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://",
        "http://[::1/x",
        "https://ä..b/x",
        "http://h:port/x",
        "-x",
        "ext::sh -c id",
        "http://127.0.0.1:1/",
        "nothing://x/y",
    ],
)
def test_what_is_no_url_of_a_file(place: Place, url: str) -> None:
    done = run("import-url", "--", url, code=(2, 6, 7))
    assert done.err.startswith("error: ")
    nothing_left(place)


# ------------------------------------------------------------------------------ http as it is


@pytest.mark.parametrize("length", ["told", "chunked"])
def test_a_body_that_breaks_off_is_gone_on_with(place: Place, web: Web, length: str) -> None:
    web.pages["/big"] = Page(BIG, etag='"1"', length=length, faults=[("cut", 5 * MB), ("cut", 2 * MB)])
    run("import-url", f"{web.url}/big")
    assert (place / "big").read_bytes() == BIG
    assert web.sent < len(BIG) + 2 * MB  # nothing of it was sent twice, but for what was in flight
    assert [one.headers.get("if-range") for one in web.asked] == [None, None, '"1"', '"1"']


def test_a_body_that_breaks_off_without_any_version_is_begun_anew(place: Place, web: Web) -> None:
    web.pages["/x"] = Page(BIG[: 3 * MB], faults=[("cut", MB)])
    run("import-url", f"{web.url}/x")
    assert (place / "x").read_bytes() == BIG[: 3 * MB]
    assert source(place, "x") == UrlSource(f"{web.url}/x", size=3 * MB)


@pytest.mark.parametrize("etag", ['W/"1"', '"1"'])
def test_a_server_without_ranges_is_read_again(place: Place, web: Web, etag: str) -> None:
    web.pages["/x"] = Page(BIG[: 3 * MB], etag=etag, ranges=False, faults=[("cut", MB)])
    run("import-url", f"{web.url}/x")
    assert (place / "x").read_bytes() == BIG[: 3 * MB]


def test_another_version_in_the_middle_is_never_mixed_in(place: Place, web: Web) -> None:
    new = bytes(reversed(BIG))
    web.pages["/big"] = Page(BIG, etag='"1"', faults=[("cut", 5 * MB), ("swap", new)])
    run("import-url", f"{web.url}/big")
    assert (place / "big").read_bytes() == new
    assert source(place, "big").etag == web.pages["/big"].etag != '"1"'
    assert list((place.cache / "partial").iterdir()) == []


def test_one_that_changes_all_the_time_is_given_up(place: Place, web: Web) -> None:
    swaps = [fault for n in range(9) for fault in (("swap", bytes([n]) * 9), ("swap", bytes([n, n]) * 9))]
    web.pages["/x"] = Page(b"0" * 9, etag='"1"', faults=swaps)
    assert "changed while it was read" in run("import-url", f"{web.url}/x", code=6).err
    nothing_left(place)


def test_a_body_whose_end_nobody_tells_is_refused(place: Place, web: Web) -> None:
    web.pages["/x"] = Page(b"some", length="no")
    assert "does not tell where the data ends" in run("import-url", f"{web.url}/x", code=6).err
    nothing_left(place)


def test_a_server_that_never_sends_all_of_it(place: Place, web: Web) -> None:
    web.pages["/x"] = Page(b"0123456789", etag='"1"', faults=[("cut", 4)] + [("cut", 0)] * 20)
    assert "broke after" in run("import-url", f"{web.url}/x", code=6).err
    nothing_left(place)


@pytest.mark.parametrize(
    ("status", "code", "words"), [(404, 4, "nothing is there"), (410, 4, "not there"), (403, 6, "refused access (403)")]
)
def test_refusals_say_what_and_are_not_repeated(place: Place, web: Web, status: int, code: int, words: str) -> None:
    web.pages["/x"] = Page(b"", head=status, faults=[("status", status)] * 9)
    done = run("import-url", f"{web.url}/x", code=code)
    assert words in done.err
    assert "hint: " in done.err
    assert len(web.asked) <= 2
    nothing_left(place)


def test_a_busy_server_is_asked_again(place: Place, web: Web) -> None:
    web.pages["/x"] = Page(b"x", etag='"1"', faults=[("status", 503), ("status", 429)])
    run("import-url", f"{web.url}/x")
    assert (place / "x").read_bytes() == b"x"
    assert len(web.asked) == 4


def test_a_server_that_knows_only_get(place: Place, web: Web) -> None:
    web.pages["/x"] = Page(b"x", etag='"1"', head=405)
    run("import-url", f"{web.url}/x")
    assert (place / "x").read_bytes() == b"x"


def test_nobody_answers(place: Place, web: Web) -> None:
    gone = web.url
    web.__exit__(None, None, None)
    try:
        done = run("import-url", f"{gone}/x", code=6)
    finally:
        web._thread.join()
    assert "Connection refused" in done.err
    nothing_left(place)


def test_a_server_that_falls_silent(place: Place, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origin_http, "TIMEOUT", 0.2)
    web.pages["/x"] = Page(BIG[:MB], etag='"1"', faults=[("stall", 1000)])
    run("import-url", f"{web.url}/x")
    assert (place / "x").read_bytes() == BIG[:MB]
    assert web.asked[-1].headers["range"] == "bytes=1000-"


@pytest.mark.parametrize(("modified", "again"), [(LONG_AGO, False), (4_000_000_000.0, True)])
def test_a_time_of_change_is_a_proof_once_it_is_past(place: Place, web: Web, modified: float, again: bool) -> None:
    web.pages["/x"] = Page(BIG[: 3 * MB], modified=modified, faults=[("cut", MB)])
    run("import-url", f"{web.url}/x")
    assert (place / "x").read_bytes() == BIG[: 3 * MB]
    assert ("range" not in web.asked[-1].headers) == again


def test_a_server_whose_head_is_another_story(place: Place, web: Web) -> None:
    web.pages["/x"] = Page(b"x" * 100, etag='"1"', tells_head='"another"')
    run("import-url", f"{web.url}/x")
    assert source(place, "x").etag == '"1"'


# ------------------------------------------------------------------------------ credentials, redirects


def test_the_login_of_netrc_goes_to_its_host_by_https_alone(
    place: Place, web: Web, certificate: Certificate, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", certificate.bundle)
    (home / ".netrc").write_text("machine 127.0.0.1 login ann password secret\n")
    (home / ".netrc").chmod(0o600)
    login = "Basic " + base64.b64encode(b"ann:secret").decode()
    with Web(certificate) as safe:
        safe.pages["/x"] = web.pages["/x"] = Page(b"x", etag='"1"', login=login)
        run("import-url", f"{safe.url}/x")
        run("import-url", f"{web.url}/x", "y", code=6)


def test_a_login_in_the_url_is_used_and_not_tracked(place: Place, web: Web) -> None:
    web.pages["/x"] = Page(b"x", etag='"1"', login="Basic " + base64.b64encode(b"ann:p@ss").decode())
    assert "~/.netrc" in run("import-url", f"{web.url}/x", code=6).err
    url = web.url.replace("http://", "http://ann:p%40ss@")
    done = run("import-url", f"{url}/x", "-v")
    assert (place / "x").read_bytes() == b"x"
    assert source(place, "x").url == f"{web.url}/x"
    place.save()
    tracked = place.git("grep", "-l", "p%40ss", "HEAD", code=1)
    assert tracked == ""
    assert "p%40ss" not in done.out + done.err
    assert "p%40ss" not in run("undo", "--list").out


def test_what_signs_a_url_is_not_tracked(place: Place, web: Web) -> None:
    web.pages["/x"] = Page(b"x", etag='"1"')
    run("import-url", f"{web.url}/x?id=7&X-Amz-Expires=60&X-Amz-Signature=secret")
    assert source(place, "x").url == f"{web.url}/x?id=7"
    assert "X-Amz-Signature=secret" in web.asked[-1].path
    run("import-url", f"{web.url}/x?b=2&a=%20#part", "y")
    assert source(place, "y").url == f"{web.url}/x?b=2&a=%20"


def test_a_login_is_not_handed_on_to_another_host(place: Place, web: Web) -> None:
    with Web() as other:
        other.pages["/y"] = Page(b"y", etag='"1"')
        web.pages["/x"] = Page(b"", redirect=f"{other.url}/y")
        web.pages["/same"] = Page(b"", redirect="/z")
        web.pages["/z"] = Page(b"z", etag='"1"')
        url = web.url.replace("http://", "http://ann:secret@")
        run("import-url", f"{url}/x")
        run("import-url", f"{url}/same")
        assert all("authorization" not in one.headers for one in other.asked)
    assert all("authorization" in one.headers for one in web.asked)


@pytest.mark.parametrize("host", ["elsewhere", "localhostile", "localhost:80"])
def test_a_file_of_another_machine_is_none_of_this_project(place: Place, cli: InProcess, host: str) -> None:
    place.write({f"{host}/x": "mine", "ile/x": "mine", ":80/x": "mine"})
    done = cli("import-url", f"file://{host}/x", "y", code=2)
    assert "names another machine" in done.err
    assert "file:///PATH" in done.err
    assert not (place / "y").exists()


@pytest.mark.parametrize("where", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://a:b@127.0.0.1/x"])
def test_a_redirect_to_what_is_no_web_server(place: Place, web: Web, where: str) -> None:
    web.pages["/x"] = Page(b"", redirect=where)
    assert "redirected" in run("import-url", f"{web.url}/x", code=6).err
    nothing_left(place)


def test_a_redirect_from_https_to_http(
    place: Place, web: Web, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", certificate.bundle)
    web.pages["/y"] = Page(b"y", etag='"1"')
    with Web(certificate) as safe:
        safe.pages["/y"] = Page(b"safe", etag='"1"')
        safe.pages["/x"] = Page(b"", redirect=f"{web.url}/y")
        assert "from https to" in run("import-url", f"{safe.url}/x", code=6).err
        run("import-url", f"{safe.url}/y")
        assert (place / "y").read_bytes() == b"safe"
        assert web.asked == []
        monkeypatch.delenv("SSL_CERT_FILE")
        assert "certificate of the server is not trusted" in run("import-url", f"{safe.url}/y", "z", code=6).err


def test_a_redirect_from_the_internet_into_a_private_network(
    place: Place, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Web() as inside:
        inside.pages["/secret"] = Page(b"of the inside", etag='"1"')
        web.pages["/x"] = Page(b"", redirect=f"{inside.url}/secret")
        answers = iter([True, False] * 9)
        monkeypatch.setattr(origin_http, "is_public", lambda address: next(answers))
        assert "private network" in run("import-url", f"{web.url}/x", code=6).err
        assert inside.asked == []
    nothing_left(place)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("127.0.0.1", False),
        ("::1", False),
        ("::ffff:10.0.0.1", False),
        ("fe80::1%eth0", False),
        ("169.254.169.254", False),
        ("64:ff9b::a00:1", False),
        ("64:ff9b::808:808", True),
        ("2002:7f00:1::1", False),
    ],
)
def test_which_addresses_are_of_the_internet(address: str, public: bool) -> None:
    assert origin_http.is_public(address) is public


# ------------------------------------------------------------------------------ killed, full, two at once

#: Runs the command, and sends itself a signal once so many bytes came. Then there are no more pauses.
CHILD = """
import os, signal, sys
from dvc_like.cli import shell
from dvc_like.cache.incoming import Incoming
signal.signal(signal.SIGINT, signal.default_int_handler)
at, number, seen = int(sys.argv[1]), int(sys.argv[2]), 0
real = Incoming.write
def write(self, data):
    global seen
    done = real(self, data)
    before, seen = seen, seen + len(data)
    if before < at <= seen:
        os.kill(os.getpid(), number)
    return done
Incoming.write = write
sys.exit(shell.run(sys.argv[3:]))
"""


@pytest.mark.skipif(os.name != "posix", reason="signals of this kind do not exist on this system")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_killed_and_run_again_goes_on(place: Place, web: Web, number: int) -> None:
    web.pages["/big"] = Page(BIG, etag='"1"')
    words = ["import-url", f"{web.url}/big"]
    call = [sys.executable, "-c", CHILD, str(9 * MB), str(int(number)), *words]
    died = subprocess.run(call, cwd=place.root, capture_output=True, check=False, timeout=60)
    assert died.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL), died.stderr
    assert place.data() == {}
    assert not (place / "big.meta").exists()
    web.asked.clear()
    done = run(*words, "--json").json
    assert (place / "big").read_bytes() == BIG
    assert done["moved"] <= len(BIG) - 8 * MB
    assert done["moved"] == web.sent
    assert temps_in(place.root) == []
    assert list((place.cache / "partial").iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="signals of this kind do not exist on this system")
def test_what_was_left_of_another_version_is_not_gone_on_with(place: Place, web: Web) -> None:
    web.pages["/big"] = Page(BIG, etag='"1"')
    call = [sys.executable, "-c", CHILD, str(9 * MB), "9", "import-url", f"{web.url}/big"]
    subprocess.run(call, cwd=place.root, capture_output=True, check=False, timeout=60)
    new = bytes(reversed(BIG))
    web.pages["/big"] = Page(new, etag='"2"')
    run("import-url", f"{web.url}/big")
    assert (place / "big").read_bytes() == new


def test_a_full_disk(place: Place, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    from dvc_like.cache import incoming

    def full(fd: int, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    web.pages["/x"] = Page(b"x" * 1000, etag='"1"')
    monkeypatch.setattr(incoming, "write_all", full)
    assert "No space left" in run("import-url", f"{web.url}/x", code=1).err
    nothing_left(place)


def test_two_at_once(place: Place, web: Web, cli: Cli) -> None:
    web.pages["/a"], web.pages["/b"] = Page(BIG, etag='"1"'), Page(BIG[::-1], etag='"1"')
    words = [sys.executable, "-m", "dvc_like", "import-url"]
    both = [subprocess.Popen([*words, f"{web.url}/{name}"], stdout=-1, stderr=-1, cwd=place.root) for name in "ab"]
    assert [one.communicate(timeout=60) and one.returncode for one in both] == [0, 0]
    assert (place / "a").read_bytes() == BIG
    assert (place / "b").read_bytes() == BIG[::-1]


# ------------------------------------------------------------------------------ folders of this machine


def test_a_folder_is_imported_whole(place: Place, tmp_path: Path, make_files: object) -> None:
    files = {"a.txt": b"a", "deep/er/b.bin": b"b" * 3000, "deep/c": b""}
    for name, data in files.items():
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_bytes(data)
    let_settle(tmp_path / "data")
    done = run("import-url", "../data", "--json").json
    assert (done["files"], done["size"], done["moved"]) == (3, 3001, 3001)
    assert {name: node[2] for name, node in place.data("data").items() if node[0] == "file"} == files
    assert source(place, "data").url == "../data"
    assert place.states() == {"data": "unchanged"}
    assert "../data" in (place / ".dvc-like/config.local").read_text()  # what a stranger's meta file may name, too
    os.utime(tmp_path / "data/a.txt", (LONG_AGO, LONG_AGO))
    (tmp_path / "data/a.txt").write_bytes(b"new")
    again = run("import-url", "../data", "--json").json
    assert (again["state"], again["moved"]) == ("updated", 3)  # the others are known by their versions
    assert (place / "data/a.txt").read_bytes() == b"new"


def test_a_file_url_and_names_that_must_not_be(place: Place, tmp_path: Path) -> None:
    (tmp_path / "a b").write_bytes(b"x")
    run("import-url", (tmp_path / "a b").as_uri())
    assert (place / "a b").read_bytes() == b"x"
    for name in ("line\nbreak", ".git"):
        folder = tmp_path / "bad" / str(len(name))
        folder.mkdir(parents=True)
        (folder / name).write_bytes(b"x")
        run("import-url", str(folder), code=7)
    (tmp_path / "links").mkdir()
    (tmp_path / "links/secret").symlink_to(tmp_path / "a b")
    assert "is a link" in run("import-url", "../links", code=1).err
    run("import-url", "../nowhere", code=4)
    assert [name for name in place.data() if place.data()[name][0] == "file"] == ["a b"]


def test_python_takes_and_returns_values(place: Place, web: Web) -> None:
    web.pages["/x"] = Page(b"x", modified=LONG_AGO)
    done = dvc_like.import_url(place.project, f"{web.url}/x", place / "sub" / "y")
    assert (done.target.path, done.state, done.moved) == ("sub/y", "added", 1)
    assert done.source.mtime == "Sun, 13 Sep 2020 12:26:40 GMT"
    with pytest.raises(DvcLikeError, match="-r says"):
        dvc_like.import_url(place.project, f"{web.url}/x", place / "z", remote="storage")
