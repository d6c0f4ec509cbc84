"""`dvc-like remote login`, `logout` and `whoami`."""

from __future__ import annotations

import os
import sys
import threading

import click

from ..ops import login as logins
from ..ops.login import Identity, Person
from ..paths import show
from ..project import Project
from .command import command as make_command
from .command import pass_console
from .console import Console
from .words import human_size


@make_command(
    "login",
    examples="""
    dvc-like remote login storage --client-secrets client_secret.json
    dvc-like remote login --no-browser
    dvc-like remote login storage --profile work
    dvc-like remote login storage --token-from login.json
    """,
)
@click.argument("name", required=False)
@click.option(
    "--client-secrets",
    type=click.Path(allow_dash=True),
    metavar="FILE",
    help="The file of an OAuth client, as Google gives it for download; needed once.",
)
@click.option("--no-browser", is_flag=True, help="Show the address; the browser may be on another machine.")
@click.option("--profile", metavar="PROFILE", help="Keep this login apart from others, and use it for this remote.")
@click.option(
    "--token-from",
    type=click.Path(allow_dash=True),
    metavar="FILE",
    help="Take over a login made elsewhere; - reads it from stdin.",
)
@click.option("--read-only", is_flag=True, help="Ask for no more than reading.")
@pass_console
def login(
    console: Console,
    name: str | None,
    client_secrets: str | None,
    no_browser: bool,
    profile: str | None,
    token_from: str | None,
    read_only: bool,
) -> None:
    """Log in to remote NAME, or to the default one: for Google Drive.

    A browser opens and asks. What remains is kept in your own folder, outside of the repository, where no other user
    of the machine can read it. Without a terminal nobody is asked, and the exit code is 6.
    """
    if token_from and (client_secrets or no_browser or read_only):
        raise click.UsageError("with --token-from nobody is asked: only --profile goes with it")
    name, found = logins.login(
        Project.find(),
        name,
        profile=profile,
        client=_text(client_secrets),
        token=_text(token_from),
        read_only=read_only,
        person=_person(no_browser),
    )
    console.document("remote-login", {"name": name, **_as_json(found)})
    console.say(f"remote {name}: logged in as {_who(found)}" + (", for reading only" if found.read_only else ""))
    if found.before:
        console.say(f"It takes the place of the login of {show(found.before)}.")
    console.say(f"The login is kept in {show(found.place)}")
    if found.problem:
        console.say(f"But: {show(found.problem)}", style="yellow")


@make_command(
    "logout",
    examples="""
    dvc-like remote logout storage
    dvc-like remote logout storage --profile work
    """,
)
@click.argument("name", required=False)
@click.option("--profile", metavar="PROFILE", help="The login with this profile, not the one the remote uses.")
@pass_console
def logout(console: Console, name: str | None, profile: str | None) -> None:
    """Forget the login of a remote, here and at Google.

    Without NAME it is the default remote.
    """
    name, gone = logins.logout(Project.find(), name, profile=profile)
    console.document(
        "remote-logout",
        {
            "name": name,
            "account": gone.account or None,
            "profile": gone.profile,
            "place": gone.place,
            "revoked": not gone.kept,
        },
    )
    console.say(f"remote {name}: {show(gone.account) or 'the login'} is logged out; {show(gone.place)} is deleted")
    console.say(f"Google was not asked to forget the login: {gone.kept}." if gone.kept else "Google forgot it too.")


@make_command("whoami", examples="dvc-like remote whoami storage")
@click.argument("name", required=False)
@pass_console
def whoami(console: Console, name: str | None) -> None:
    """Show whose login a remote uses, and the space left.

    Without NAME it is the default remote.
    """
    name, found = logins.whoami(Project.find(), name)
    console.document("remote-whoami", {"name": name, **_as_json(found)})
    console.answer(_who(found))
    rows = {
        "credentials": found.kind + (", for reading only" if found.read_only else ""),
        "kept in": found.place,
        "client": found.client,
        "profile": found.profile,
        "but": found.problem,
        "space": f"{human_size(found.used)} used, {_left(found)}",
    }
    for head, text in rows.items():
        if text:
            console.say(f"  {head:<12} {show(text)}")


def _text(path: str | None) -> str | None:
    """Return what is in a file, or with ``-`` what comes on stdin."""
    if path is None:
        return None
    try:
        with click.open_file(path, encoding="utf-8", errors="replace") as file:
            text: str = file.read(1 << 20)
            return text
    except OSError as error:
        raise click.BadParameter(f"{show(path)}: {error.strerror}") from None


def _who(found: Identity) -> str:
    return show(found.account) or "an account that Google does not name"


def _left(found: Identity) -> str:
    if found.limit is None:
        return "without a limit"
    return f"{human_size(max(0, found.limit - found.used))} left of {human_size(found.limit)}"


def _as_json(found: Identity) -> dict[str, object]:
    return {
        "account": found.account,
        "kind": found.kind,
        "place": found.place,
        "client": found.client or None,
        "profile": found.profile or None,
        "read_only": found.read_only,
        "used": found.used,
        "limit": found.limit,
        "problem": found.problem,
    }


# ------------------------------------------------------------------------------ the person at the terminal


def _person(no_browser: bool) -> Person | None:
    """Return who can be asked; None without a terminal, where a question would wait for ever."""
    if not sys.stdin.isatty():
        return None
    if no_browser or not _has_browser():
        return Person(_show, _ask)
    return Person(_open)


def _has_browser() -> bool:
    """Tell whether a browser can come up: one in the terminal would fill it, and Google does not take it."""
    shown = any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))
    return shown or sys.platform == "darwin" or os.name == "nt"


def _show(address: str) -> None:
    click.echo(f"Open this address in a browser, on any machine:\n\n  {address}\n", err=True)
    click.echo("At the end it goes to a page that cannot be shown, http://127.0.0.1:... So it should be.", err=True)


def _ask() -> str:
    answer: str = click.prompt("Paste the address of that page", err=True)
    return answer


def _open(address: str) -> None:
    import webbrowser

    click.echo(f"A browser opens. If none does, open this address:\n\n  {address}\n", err=True)
    # Some browsers return only when they are closed, and would keep us from their answer.
    threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
