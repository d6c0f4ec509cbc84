"""`remote login`, `logout` and `whoami`, with Google's own libraries against a server that plays Google's part."""

from __future__ import annotations

import io
import json
import os
import socket
import sys
import webbrowser
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from tests.cli.inprocess import InProcess as Cli
from tests.cli.inprocess import in_process  # noqa: F401 - the fixture `cli` of this file
from tests.cli.place import Place, make_place
from tests.cli.terminal import Terminal
from tests.conftest import Cli as Process
from tests.conftest import Ran
from tests.servers.drive import ANNA, BERT, ROBOT, SCOPE_FILE, SCOPE_READONLY, DriveServer

VARIABLE = "DVC_LIKE_GDRIVE_CREDENTIALS"
needs_pty = pytest.mark.skipif(os.name != "posix", reason="terminals of this kind do not exist on this system")


class AtTerminal(io.StringIO):
    """What `sys.stdin` is when somebody sits there."""

    def isatty(self) -> bool:
        return True


class Person:
    """Somebody with a browser: everything that was opened, and what the browser was shown at the end."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.pages: list[requests.Response] = []

    def open(self, address: str) -> bool:
        """Play the browser; Google's consent page agrees by itself, and sends it on to this machine."""
        self.opened.append(address)
        self.pages.append(requests.get(address, timeout=30))
        return True


@pytest.fixture
def drive(drive_server: DriveServer, monkeypatch: pytest.MonkeyPatch, home: Path) -> DriveServer:
    """Google on this machine, where it speaks no TLS."""
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    for email in (ANNA, BERT):
        drive_server.account(email, limit=15 * 10**9)
    return drive_server


@pytest.fixture
def project(tmp_path: Path, drive: DriveServer, monkeypatch: pytest.MonkeyPatch, cli: Cli) -> Place:
    """A project whose default remote is a folder on Drive."""
    made = make_place(tmp_path / "project")
    monkeypatch.chdir(made.root)
    cli("remote", "add", "-d", "storage", f"gdrive://{drive.folder('data')}")
    cli("remote", "modify", "--local", "storage", "endpointurl", drive.url)
    return made


@pytest.fixture
def secrets(tmp_path: Path, drive: DriveServer) -> Path:
    """The file of an OAuth client, as Google gives it for download."""
    path = tmp_path / "client_secret.json"
    path.write_text(json.dumps(drive.client_secrets()))
    return path


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> Person:
    """Somebody at the terminal, with a browser on the same machine."""
    made = Person()
    monkeypatch.setattr(sys, "stdin", AtTerminal())
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(webbrowser, "open", made.open)
    monkeypatch.setattr("dvc_like.remote.gdrive.loopback.PATIENCE", 20)
    return made


def kept(home: Path) -> dict[str, dict[str, object]]:
    """Return the logins that are kept, by file name."""
    return {path.name: json.loads(path.read_text()) for path in sorted((home / "credentials/gdrive").glob("*.json"))}


@pytest.fixture(autouse=True)
def no_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail when any command of a test shows a token, a code's verifier or the client's secret."""
    seen: list[Ran] = []
    keep = Ran.expect

    def expect(self: Ran, code: int | tuple[int, ...]) -> None:
        seen.append(self)
        keep(self, code)

    monkeypatch.setattr(Ran, "expect", expect)
    yield
    for done in seen:
        for secret in ("1//", "ya29.", "GOCSPX", "PRIVATE KEY", "4/code"):
            assert secret not in done.out + done.err, done.words


# ------------------------------------------------------------------------------ logging in


def test_login_in_a_browser(project: Place, drive: DriveServer, person: Person, secrets: Path, home: Path) -> None:
    cli = Cli()
    done = cli("remote", "login", "storage", "--client-secrets", secrets)
    (name,) = kept(home)
    assert done.out.splitlines() == [
        f"remote storage: logged in as {ANNA}",
        f"The login is kept in {home}/credentials/gdrive/{name}",
    ]
    (address,) = person.opened
    assert address in done.err
    assert address.startswith(drive.auth_uri)
    for part in ("code_challenge_method=S256", "state=", "access_type=offline", "127.0.0.1"):
        assert part in address
    assert "go back to the terminal" in person.pages[0].text
    assert name.endswith("-one-default.json")
    found = kept(home)[name]
    assert (found["account"], found["profile"], found["token_uri"]) == (ANNA, "default", drive.token_uri)
    assert "access_token" not in found
    assert "token" not in found
    assert cli("remote", "whoami").out.splitlines()[0] == ANNA
    assert not (project / ".dvc-like/config").read_text().count("client")
    assert "clientid" in (project / ".dvc-like/config.local").read_text()
    assert "config.local" not in project.git("status", "--porcelain", "--untracked-files=all")


@pytest.mark.skipif(os.name != "posix", reason="modes of this kind do not exist on this system")
def test_nobody_else_can_read_what_is_kept(project: Place, person: Person, secrets: Path, home: Path) -> None:
    before = os.umask(0)
    try:
        Cli()("remote", "login", "--client-secrets", secrets)
    finally:
        os.umask(before)
    folder = home / "credentials/gdrive"
    for path, mode in ((folder.parent, 0o700), (folder, 0o700), (next(folder.glob("*.json")), 0o600)):
        assert path.stat().st_mode & 0o777 == mode
    assert (folder.parent / ".gitignore").read_text() == "*\n"
    assert [*folder.iterdir()] == [*folder.glob("*.json")]  # no temporary file is left


def test_once_logged_in_every_clone_on_the_machine_is(
    project: Place, person: Person, secrets: Path, drive: DriveServer, tmp_path: Path
) -> None:
    cli = Cli()
    cli("remote", "login", "--client-secrets", secrets)
    other = make_place(tmp_path / "other")
    cli("remote", "add", "-d", "elsewhere", "gdrive://root", cwd=other.root)
    cli("remote", "modify", "--local", "elsewhere", "endpointurl", drive.url, cwd=other.root)
    assert cli("remote", "whoami", "--json", cwd=other.root).json["account"] == ANNA


def test_logging_in_again_needs_no_file(project: Place, person: Person, secrets: Path, drive: DriveServer) -> None:
    cli = Cli()
    cli("remote", "login", "--client-secrets", secrets)
    secrets.unlink()
    drive.oauth.revoke_all()
    assert f"the login of {ANNA} is over" in cli("remote", "whoami", code=6).err
    cli("remote", "modify", "--local", "--unset", "storage", "clientid")
    cli("remote", "login")
    assert cli("remote", "whoami").out.startswith(ANNA)


def test_an_organisation_can_ship_its_client(
    project: Place, person: Person, secrets: Path, monkeypatch: pytest.MonkeyPatch, drive: DriveServer
) -> None:
    from dvc_like.remote.gdrive import login

    client = drive.client_secrets()["installed"]
    cli = Cli()
    cli("remote", "modify", "storage", "clientid", client["client_id"])
    cli("remote", "modify", "storage", "clientsecret", client["client_secret"])
    assert "GOCSPX" in (project / ".dvc-like/config").read_text()
    assert "GOCSPX" not in cli("remote", "list", "--json").out
    # Where it leads to is never the tracked file's to say.
    assert login._client(None, {"clientid": "1-x", "clientsecret": "y"}, "default").token_uri.startswith(
        "https://oauth2.googleapis.com/"
    )
    monkeypatch.setattr(login.Client.__new__, "__defaults__", (drive.auth_uri, drive.token_uri))
    cli("remote", "login")
    assert cli("remote", "whoami").out.startswith(ANNA)
    assert "client" not in (project / ".dvc-like/config.local").read_text()


def test_two_accounts_and_back(project: Place, person: Person, secrets: Path, drive: DriveServer, home: Path) -> None:
    cli = Cli()
    cli("remote", "login", "--client-secrets", secrets)
    drive.oauth.account = BERT
    cli("remote", "login", "--profile", "work")
    assert cli("remote", "whoami", "--json").json["account"] == BERT
    assert cli("config", "--show-origin", "remote.storage.profile").out.count("config.local") == 1
    assert [found["account"] for found in kept(home).values()] == [ANNA, BERT]
    cli("remote", "modify", "--local", "storage", "profile", "default")
    assert cli("remote", "whoami", "--json").json["account"] == ANNA
    drive.oauth.account = BERT
    done = cli("remote", "login")
    assert f"It takes the place of the login of {ANNA}." in done.out
    cli("remote", "login", "--profile", "../../x", code=2)


def test_the_wrong_account_is_told_at_once(project: Place, person: Person, secrets: Path, drive: DriveServer) -> None:
    cli = Cli()
    drive.oauth.account = BERT
    out = cli("remote", "login", "--client-secrets", secrets).out
    assert f"there is no such folder, or {BERT} may not see it" in out
    assert BERT in cli("remote", "whoami", "--json").json["problem"]
    error = cli("remote", "test", code=6).err
    assert BERT in error
    assert "log in with another one" in error
    drive.oauth.account = ANNA
    assert "may not see" not in cli("remote", "login").out
    assert cli("remote", "whoami", "--json").json["problem"] == ""


@needs_pty
@pytest.mark.parametrize("ruin", [lambda path: path.write_text("{"), lambda path: path.chmod(0o644)])
def test_logging_in_again_mends_what_is_kept(
    project: Place, person: Person, secrets: Path, home: Path, ruin: Callable[[Path], object]
) -> None:
    cli = Cli()
    cli("remote", "login", "--client-secrets", secrets, "--profile", "other")
    cli("remote", "login", "--profile", "default")
    (path,) = (home / "credentials/gdrive").glob("*-default.json")
    ruin(path)
    assert str(path) in cli("remote", "whoami", code=6).err
    assert str(path) in cli("remote", "logout", code=6).err
    cli("remote", "login")
    assert cli("remote", "whoami", "-q").out == f"{ANNA}\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_reading_only(project: Place, person: Person, secrets: Path, home: Path) -> None:
    cli = Cli()
    done = cli("remote", "login", "--client-secrets", secrets, "--read-only")
    assert f"logged in as {ANNA}, for reading only" in done.out
    assert SCOPE_READONLY.replace("/", "%2F").replace(":", "%3A") in person.opened[0]
    assert [found["scopes"] for found in kept(home).values()] == [[SCOPE_READONLY]]
    assert cli("remote", "whoami", "--json").json["read_only"] is True
    (project / "x").write_text("1")
    cli("add", "x")
    assert "Log in" in cli("push", code=6).err


def test_json_is_one_document(project: Place, person: Person, secrets: Path) -> None:
    done = Cli()("remote", "login", "--client-secrets", secrets, "--json").json
    assert (done["schema"], done["account"], done["limit"]) == ("dvc-like/remote-login/1", ANNA, 15 * 10**9)


# ------------------------------------------------------------------------------ without a browser here


def paste(monkeypatch: pytest.MonkeyPatch, answer: str = "") -> list[str]:
    """Let somebody paste the address on which a browser elsewhere ended, or `answer`; return what was shown."""
    from dvc_like.cli import login

    shown: list[str] = []

    def ask() -> str:
        if answer:
            return answer.replace("FIRST", shown[0])
        return requests.get(shown[0], allow_redirects=False, timeout=30).headers["Location"]

    monkeypatch.setattr(login, "_show", shown.append)
    monkeypatch.setattr(login, "_ask", ask)
    return shown


def test_the_browser_may_be_elsewhere(
    project: Place, person: Person, secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paste(monkeypatch)
    Cli()("remote", "login", "--client-secrets", secrets, "--no-browser")
    assert not person.opened
    assert Cli()("remote", "whoami").out.startswith(ANNA)


def test_without_a_display_nobody_waits_for_a_browser(
    project: Place, person: Person, secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    paste(monkeypatch)
    Cli()("remote", "login", "--client-secrets", secrets)
    assert not person.opened


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("FIRST", "the address to begin with"),
        ("http://127.0.0.1:1/?code=4/x&state=y", "answers another question"),
        ("http://127.0.0.1:1/?code=4/x", "answers another question"),
        ("4/x", "there is no code"),
        ("http://[", "there is no code"),
    ],
)
def test_what_is_pasted_is_not_the_answer(
    project: Place, person: Person, secrets: Path, monkeypatch: pytest.MonkeyPatch, home: Path, answer: str, said: str
) -> None:
    paste(monkeypatch, answer)
    assert said in Cli()("remote", "login", "--client-secrets", secrets, "--no-browser", code=6).err
    assert not kept(home)


@needs_pty
def test_at_a_real_terminal(project: Place, secrets: Path, home: Path) -> None:
    with Terminal("remote", "login", "--no-browser", "--client-secrets", str(secrets)) as terminal:
        address = terminal.until(r"\n  (http://\S+)\n")[1]
        terminal.until("Paste the address of that page: ")
        terminal.type(requests.get(address, allow_redirects=False, timeout=30).headers["Location"] + "\n")
        terminal.until(f"logged in as {ANNA}")
        assert terminal.end() == 0
    assert len(kept(home)) == 1


@needs_pty
@pytest.mark.parametrize("options", [("--no-browser",), ()])
def test_ctrl_c_ends_it_and_nothing_is_written(
    project: Place, secrets: Path, home: Path, options: tuple[str, ...]
) -> None:
    config = (project / ".dvc-like/config.local").read_bytes()
    words = ("remote", "login", *options, "--client-secrets", str(secrets))
    with Terminal(*words, env={"BROWSER": "true"}) as terminal:
        terminal.until("Paste the address" if options else r"\n  http://\S+\n\n")
        assert terminal.end(interrupt=True) == 130
        assert "Traceback" not in terminal.shown
    assert not (home / "credentials").exists()
    assert (project / ".dvc-like/config.local").read_bytes() == config


@needs_pty
def test_a_browser_that_does_not_return_is_not_waited_for(project: Place, secrets: Path, tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text(
        f"#!{sys.executable}\nimport sys, time, urllib.request\n"
        "urllib.request.urlopen(sys.argv[1], timeout=30).read()\ntime.sleep(600)\n"
    )
    browser.chmod(0o755)
    words = ("remote", "login", "--client-secrets", str(secrets))
    with Terminal(*words, env={"BROWSER": str(browser)}) as terminal:
        terminal.until(f"logged in as {ANNA}")
        assert terminal.end() == 0


# ------------------------------------------------------------------------------ without a terminal


@pytest.mark.parametrize("options", [(), ("--no-browser",), ("--json",)])
def test_nobody_is_asked_where_nobody_is(project: Place, secrets: Path, options: tuple[str, ...]) -> None:
    done = Process()("remote", "login", "--client-secrets", secrets, *options, code=6, timeout=60)
    assert "needs a terminal" in done.err
    assert VARIABLE in done.err


def test_ci_uses_the_variable(
    project: Place, cli: Cli, drive: DriveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert VARIABLE in cli("remote", "whoami", code=6).err
    monkeypatch.setenv(VARIABLE, json.dumps(drive.service_account()))
    found = cli("remote", "whoami", "--json").json
    assert (found["account"], found["kind"], found["place"]) == (ROBOT, "service account", VARIABLE)
    assert found["client"] is found["profile"] is None
    (tmp_path / "token").write_text(drive.oauth.subject_token)
    monkeypatch.setenv(VARIABLE, json.dumps(drive.workload_identity(str(tmp_path / "token"))))
    assert cli("remote", "whoami", "--json").json["account"] == ROBOT


def test_a_login_made_elsewhere_is_taken_over(project: Place, cli: Cli, drive: DriveServer, tmp_path: Path) -> None:
    path = tmp_path / "login.json"
    path.write_text(json.dumps(drive.authorized_user(BERT)))
    assert f"logged in as {BERT}\n" in cli("remote", "login", "--token-from", path, "--profile", "work").out
    assert cli("remote", "whoami", "--json").json["profile"] == "work"
    done = Process()("remote", "login", "--token-from", "-", "--json", input=json.dumps(drive.authorized_user(ANNA)))
    assert done.json["account"] == ANNA


@pytest.mark.parametrize(
    ("content", "said", "code"),
    [
        ("", "is not JSON", 6),
        ("[]", "is not JSON", 6),
        ('{"client_id": "1-x"}', "is no login: client_secret, refresh_token missing", 6),
        ('{"type": "service_account"}', "needs no login", 6),
        (
            '{"client_id": "../x", "client_secret": "GOCSPX", "refresh_token": "1//"}',
            "not the id of an OAuth client",
            2,
        ),
    ],
)
def test_what_cannot_be_taken_over(
    project: Place, cli: Cli, tmp_path: Path, home: Path, content: str, said: str, code: int
) -> None:
    path = tmp_path / "login.json"
    path.write_text(content)
    assert said in cli("remote", "login", "--token-from", path, code=code).err
    assert not kept(home)
    cli("remote", "login", "--token-from", tmp_path / "missing", code=2)
    cli("remote", "login", "--token-from", path, "--read-only", code=2)


def test_what_counts_before_the_login_is_told(
    project: Place, cli: Cli, drive: DriveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "login.json"
    path.write_text(json.dumps(drive.authorized_user()))
    cli("remote", "modify", "--local", "storage", "credentials", path)
    assert "But: the option credentials is set" in cli("remote", "login", "--token-from", path).out
    monkeypatch.setenv(VARIABLE, str(path))
    assert f"But: the variable {VARIABLE} is set" in cli("remote", "login", "--token-from", path).out


def test_a_login_that_is_over_is_not_taken_over(
    project: Place, cli: Cli, drive: DriveServer, tmp_path: Path, home: Path
) -> None:
    path = tmp_path / "login.json"
    path.write_text(json.dumps(drive.authorized_user()))
    drive.oauth.revoke_all()
    assert "is over" in cli("remote", "login", "--token-from", path, code=6).err
    assert not kept(home)


# ------------------------------------------------------------------------------ it does not work


def test_no_client(project: Place, cli: Cli, person: Person) -> None:
    done = cli("remote", "login", code=6)
    assert "no OAuth client is configured" in done.err
    assert "dvc-like remote login storage --client-secrets FILE" in done.err
    assert not person.opened


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is not JSON"),
        ('{"web": {}}', "'Desktop app'"),
        ('{"type": "service_account"}', "credentials FILE"),
        ('{"installed": {"client_id": "1-x"}}', "holds no OAuth client"),
        ('{"installed": {"client_id": "a/b", "client_secret": "GOCSPX"}}', "not the id of an OAuth client"),
    ],
)
def test_the_file_is_no_client(
    project: Place, cli: Cli, person: Person, secrets: Path, content: str, said: str
) -> None:
    secrets.write_text(content)
    assert said in cli("remote", "login", "--client-secrets", secrets, code=2).err
    assert not person.opened


def test_the_person_says_no(
    project: Place, cli: Cli, person: Person, secrets: Path, drive: DriveServer, home: Path
) -> None:
    drive.oauth.refuses = True
    done = cli("remote", "login", "--client-secrets", secrets, code=6)
    assert "refused in the browser (access_denied)" in done.err
    assert not kept(home)


def test_another_permission_is_given_than_was_asked_for(
    project: Place, cli: Cli, person: Person, secrets: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    from google_auth_oauthlib.flow import Flow

    exchange, given = Flow.fetch_token, SCOPE_FILE

    def fetch(self: Flow, **options: object) -> object:
        self.oauth2session.scope = [given]  # oauthlib finds another in the answer, and says so
        return exchange(self, **options)

    monkeypatch.setattr(Flow, "fetch_token", fetch)
    assert "logged in" in cli("remote", "login", "--client-secrets", secrets).out  # more than nothing, and enough
    cli("remote", "logout")
    monkeypatch.setattr("dvc_like.remote.gdrive.login.DRIVE", f"{SCOPE_FILE} {SCOPE_READONLY}")
    done = cli("remote", "login", "--client-secrets", secrets, code=6)
    assert "a permission (scope) is missing" in done.err
    assert "dvc-like remote login storage" in done.err
    assert not kept(home)


def test_the_clients_secret_is_of_an_older_file(
    project: Place, cli: Cli, person: Person, secrets: Path, home: Path
) -> None:
    secrets.write_text(secrets.read_text().replace("GOCSPX-one", "GOCSPX-old"))
    done = cli("remote", "login", "--client-secrets", secrets, code=6)
    assert "Google did not complete the login (invalid_client)" in done.err
    assert not kept(home)


def test_an_answer_to_another_question_is_not_taken(
    project: Place, cli: Cli, person: Person, secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    idle: list[socket.socket] = []

    def open_browser(address: str) -> bool:
        back = parse_qs(urlsplit(address).query)["redirect_uri"][0]
        idle.append(socket.create_connection(("127.0.0.1", urlsplit(back).port or 0)))  # as browsers do in advance
        for wrong in ("favicon.ico", "?code=4/x", "?code=4/x&state=guessed", "?state=&code=4/x"):
            assert requests.get(back + wrong, timeout=30).status_code == 404
        return person.open(address)

    monkeypatch.setattr(webbrowser, "open", open_browser)
    done = cli("remote", "login", "--client-secrets", secrets)
    assert "logged in" in done.out
    assert "Traceback" not in done.err
    idle[0].close()


def test_the_api_is_not_enabled(
    project: Place, cli: Cli, person: Person, secrets: Path, drive: DriveServer, home: Path
) -> None:
    drive.faults.add("accessNotConfigured", "about.get")
    done = cli("remote", "login", "--client-secrets", secrets, code=6)
    assert "accessNotConfigured" in done.err
    assert "Enable the Google Drive API" in done.err
    assert not kept(home)


def test_no_network(project: Place, cli: Cli, person: Person, secrets: Path, drive: DriveServer) -> None:
    cli("remote", "login", "--client-secrets", secrets)
    drive.stop()
    assert "does not answer" in cli("remote", "whoami", code=6).err
    assert "myaccount.google.com" in cli("remote", "logout").out


@pytest.mark.parametrize("verb", ["login", "logout", "whoami"])
@pytest.mark.parametrize(
    ("url", "said"), [("s3://b", "Amazon's own tools"), ("../store", "a folder"), ("x1://b", "x1://")]
)
def test_other_remotes_need_no_login(project: Place, cli: Cli, verb: str, url: str, said: str) -> None:
    cli("remote", "add", "other", url)
    assert said in cli("remote", verb, "other", code=2).err
    cli("remote", verb, "nowhere", code=3)


def test_nothing_is_kept_in_the_repository(
    project: Place, cli: Cli, person: Person, secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_LIKE_CONFIG_GLOBAL", str(project / "dvc-like.config"))
    assert "which is in the repository" in cli("remote", "login", "--client-secrets", secrets, code=3).err
    assert not person.opened


def test_a_stranger_gets_no_login_sent(project: Place, cli: Cli) -> None:
    cli("remote", "modify", "--local", "--unset", "storage", "endpointurl")
    done = cli("remote", "modify", "storage", "endpointurl", "https://evil.example", code=2)
    assert "would be sent your Google login" in done.err
    with open(project / ".dvc-like/config", "a", encoding="utf-8") as file:
        file.write("\tendpointurl = https://evil.example\n")
    assert "would be sent your Google login" in cli("remote", "whoami", code=3).err


# ------------------------------------------------------------------------------ logging out


def test_logout_forgets_here_and_at_google(
    project: Place, cli: Cli, person: Person, secrets: Path, drive: DriveServer, home: Path
) -> None:
    cli("remote", "login", "--client-secrets", secrets)
    (name,) = kept(home)
    done = cli("remote", "logout")
    assert done.out.splitlines() == [
        f"remote storage: {ANNA} is logged out; {home}/credentials/gdrive/{name} is deleted",
        "Google forgot it too.",
    ]
    assert not kept(home)
    assert drive.calls["revoke"] == 1
    assert "nobody is logged in" in cli("remote", "whoami", code=6).err
    assert "nobody is logged in" in cli("remote", "logout", code=6).err


def test_logout_leaves_another_profile_its_login(
    project: Place, cli: Cli, person: Person, secrets: Path, drive: DriveServer, home: Path
) -> None:
    cli("remote", "login", "--client-secrets", secrets)
    cli("remote", "login", "--profile", "second")
    done = cli("remote", "logout", "--json").json
    assert (done["profile"], done["revoked"]) == ("second", False)
    assert drive.calls["revoke"] == 0
    assert cli("remote", "logout", "--profile", "default", "--json").json["revoked"] is True
    assert not kept(home)


def test_logout_of_what_google_forgot_already(
    project: Place, cli: Cli, person: Person, secrets: Path, drive: DriveServer, home: Path
) -> None:
    cli("remote", "login", "--client-secrets", secrets)
    drive.oauth.revoke_all()
    assert "Google forgot it too." in cli("remote", "logout").out
    assert not kept(home)


def test_whoami_tells_all(project: Place, cli: Cli, person: Person, secrets: Path, drive: DriveServer) -> None:
    cli("remote", "login", "--client-secrets", secrets)
    drive.file("x", b"1" * 1000)
    out = cli("remote", "whoami").out
    for text in ("credentials  login", "profile      default", "-one\n", "1.0 kB used, 15.0 GB left of 15.0 GB"):
        assert text in out
    assert cli("remote", "whoami", "-q").out == f"{ANNA}\n"
    drive.account(ANNA, limit=None)
    assert "without a limit" in cli("remote", "whoami").out


def test_debug_shows_no_secret(project: Place, person: Person, secrets: Path, drive: DriveServer) -> None:
    Cli()("remote", "login", "--client-secrets", secrets)
    drive.oauth.revoke_all()
    done = Process()("--debug", "remote", "whoami", code=1, env={"DVC_LIKE_TRACE": "1"})
    assert "Traceback" in done.err
