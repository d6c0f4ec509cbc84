"""Logging in to Google Drive: the OAuth flow of an installed program, with PKCE.

Owns the flow, the import of a login from elsewhere, its end, and the question who somebody is. What is kept is
`stored`'s, the meaning of Google's refusals `credentials`'. Opens no browser and no terminal.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from ...errors import RemoteDenied, RemoteUnavailable, UsageError
from ..login import Identity, LoggedOut, Person
from . import stored
from .connection import Connection, route
from .credentials import (
    DRIVE,
    READ_ONLY,
    VARIABLE,
    Found,
    before_logins,
    find,
    missing_scope,
    needs_google,
    of_login,
    refuse_gcloud,
)
from .folders import Folders, Ids
from .loopback import Callback, code_of, pasted
from .place import Place, parse
from .stored import AUTH_URI, TOKEN_URI, Login, check_client, check_profile, decode, everything, load, short

_TIMEOUT = 30  # seconds for an answer of Google's


class Client(NamedTuple):
    """An OAuth client: what Google knows this program as, in the name of whoever made it."""

    client_id: str
    secret: str
    auth_uri: str = AUTH_URI
    token_uri: str = TOKEN_URI


class DriveLogins:
    """Logging in to Google Drive."""

    def login(
        self,
        options: Mapping[str, str],
        root: str,
        *,
        client: str | None,
        token: str | None,
        read_only: bool,
        person: Person | None,
    ) -> Identity:
        """Log somebody in, or take over a login from elsewhere; keep it."""
        try:
            import google_auth_oauthlib.flow  # noqa: F401
            import googleapiclient.discovery  # noqa: F401 - both asked here, before anybody goes to a browser
        except ImportError as error:
            raise needs_google(error) from None
        profile = check_profile(options.get("profile", ""))
        if token is not None:
            login = _taken_over(token, profile)
        elif person is None:
            raise RemoteDenied(
                "logging in needs a terminal, and there is none",
                hint=f"Set {VARIABLE} to credentials (JSON or the path of a file), or use --token-from FILE.",
            )
        else:
            place = parse(options["url"], dict(options), root)
            login = _sign_in(_client(client, options, profile), profile, place, read_only=read_only, person=person)
        identity = _asked(_found(login), options, root)  # what does not work is not kept
        login = replace(login, account=identity.account)
        before = next((old.account for old in everything() if old.path == login.path), "")
        stored.save(login)
        other = before_logins(options)
        return replace(
            identity,
            problem=f"{other} is set, and counts before this login" if other else identity.problem,
            before=before if before != login.account else "",
            remember={"clientid": login.client_id, "clientsecret": login.client_secret},
        )

    def logout(self, options: Mapping[str, str], root: str) -> LoggedOut:
        """Delete a login, and let Google forget it unless another one here would end with it."""
        profile = check_profile(options.get("profile", ""))
        login = load(options.get("clientid", ""), profile)
        if login is None:
            raise RemoteDenied(
                f"nobody is logged in with the profile {profile}",
                hint="Choose another with --profile." if everything() else "There is nothing to do.",
                details=tuple(f"logged in: {one}" for one in everything()),
            )
        twins = [one for one in everything() if one.path != login.path and _same_consent(one, login)]
        kept = (
            f"the profile {twins[0].profile} needs it"
            if twins
            else _revoke(login, parse(options["url"], dict(options), root))
        )
        stored.remove(login)
        return LoggedOut(login.account, profile, login.path, kept)

    def whoami(self, options: Mapping[str, str], root: str) -> Identity:
        """Ask Google whose credentials the next command would use."""
        return _asked(find(options, root=root), options, root)


def _found(login: Login) -> Found:
    return Found(of_login(login), "login", login.path, login)


def _same_consent(one: Login, other: Login) -> bool:
    return (one.client_id, one.account) == (other.client_id, other.account)


# ------------------------------------------------------------------------------ the client


def _client(text: str | None, options: Mapping[str, str], profile: str) -> Client:
    """Return the client to log in with: the given file's, the configured one, or that of the login before."""
    if text is not None:
        return _parse_client(text)
    client_id, secret = options.get("clientid", ""), options.get("clientsecret", "")
    old = next((one for one in everything() if one.client_id == client_id), None) if client_id else load("", profile)
    if old is not None:
        return Client(old.client_id, secret or old.client_secret, old.auth_uri, old.token_uri)
    if client_id and secret:
        return Client(check_client(client_id), secret)
    raise RemoteDenied(
        "no OAuth client is configured, and dvc-like brings none along",
        hint="Make one in ten minutes (docs/remotes/gdrive.md), then: dvc-like remote login NAME --client-secrets FILE",
    )


def _parse_client(text: str) -> Client:
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise UsageError("the file of the OAuth client is not JSON", hint="Download it again from Google's console.")
    if "web" in content:
        raise UsageError(
            "this OAuth client is one of a web application", hint="Make another of the type 'Desktop app'."
        )
    if content.get("type") == "service_account":
        raise UsageError(
            "this is the key of a service account, which needs no login",
            hint=f"Name the file: dvc-like remote modify --local NAME credentials FILE (or in {VARIABLE}).",
        )
    inner = content.get("installed")
    if not isinstance(inner, dict) or not (inner.get("client_id") and inner.get("client_secret")):
        raise UsageError("the file holds no OAuth client", hint='Google\'s file begins with {"installed": ...')
    return Client(
        check_client(str(inner["client_id"])),
        str(inner["client_secret"]),
        str(inner.get("auth_uri") or AUTH_URI),
        str(inner.get("token_uri") or TOKEN_URI),
    )


# ------------------------------------------------------------------------------ the flow


def _sign_in(client: Client, profile: str, place: Place, *, read_only: bool, person: Person) -> Login:
    from google_auth_oauthlib.flow import Flow

    scope = READ_ONLY if read_only else DRIVE
    installed = {
        "client_id": client.client_id,
        "client_secret": client.secret,
        "auth_uri": client.auth_uri,
        "token_uri": client.token_uri,
    }
    with Callback() as callback:
        flow = Flow.from_client_config(
            {"installed": installed}, [scope], redirect_uri=callback.address, autogenerate_code_verifier=True
        )
        address, state = flow.authorization_url(access_type="offline", prompt="consent select_account")
        callback.state = state
        if person.paste is None:
            person.visit(address)
            answer = callback.wait()
        else:
            callback.server_close()  # the browser is elsewhere; where it is here, it shall not wait for us
            person.visit(address)
            answer = pasted(person.paste(), state)
    refresh_token = _exchange(flow, code_of(answer), scope, place)
    return Login(
        client.client_id,
        client.secret,
        refresh_token,
        client.token_uri,
        client.auth_uri,
        profile,
        scopes=(scope,),
        made=int(time.time()),
    )


def _exchange(flow: Any, code: str, scope: str, place: Place) -> str:
    """Give a code for a lasting token."""
    from oauthlib.oauth2 import OAuth2Error
    from requests.exceptions import RequestException

    try:
        token = flow.fetch_token(code=code, timeout=_TIMEOUT, **route(place))
    except Warning as change:  # so oauthlib says that other scopes were allowed than asked for
        token = getattr(change, "token", {})
        if scope not in getattr(change, "new_scope", ()):
            raise missing_scope("") from None
    except OAuth2Error as error:
        raise RemoteDenied(
            f"Google did not complete the login ({error.error})",
            hint="Is the client's file the newest? Download it again: dvc-like remote login NAME --client-secrets FILE",
        ) from None
    except RequestException:
        raise RemoteUnavailable(
            "Google does not answer", hint="Is there a network? A proxy is named by HTTPS_PROXY."
        ) from None
    if not token.get("refresh_token"):
        raise RemoteDenied(
            "Google gave no lasting login",
            hint="Remove the program at https://myaccount.google.com/connections, then log in again.",
        )
    return str(token["refresh_token"])


def _taken_over(text: str, profile: str) -> Login:
    """Return the login that another program or machine has made."""
    if '"service_account"' in text:
        raise RemoteDenied(
            "this is the key of a service account, which needs no login",
            hint=f"Name the file: dvc-like remote modify --local NAME credentials FILE (or in {VARIABLE}).",
        )
    login = decode(text, "what --token-from gives")
    refuse_gcloud(login.client_id, "it")
    return replace(login, profile=profile, account="")


# ------------------------------------------------------------------------------ asking Google


def _revoke(login: Login, place: Place) -> str:
    """Let Google forget a login; return why it does not, or nothing."""
    import requests

    by_hand = "withdraw it at https://myaccount.google.com/connections"
    address = login.token_uri.removesuffix("/token") + "/revoke"
    try:
        answer = requests.post(address, data={"token": login.refresh_token}, timeout=place.timeout, **route(place))
    except requests.RequestException:
        return f"Google does not answer: {by_hand}"
    return "" if answer.status_code in (200, 400) else f"Google said {answer.status_code}: {by_hand}"  # 400: unknown


def _asked(found: Found, options: Mapping[str, str], root: str) -> Identity:
    """Ask Drive whose credentials these are, and whether they open the remote's folder."""
    connection = Connection(parse(options["url"], dict(options), root), lambda: found)
    try:
        about = connection.service.about.get(fields="user(emailAddress),storageQuota(limit,usage)")
        answer = connection.call(about, "Google Drive")
        try:
            Folders(connection, Ids(connection)).open()
            problem = ""
        except RemoteDenied as error:
            problem = error.message
    finally:
        connection.close()
    login, quota = found.login, answer.get("storageQuota", {})
    return Identity(
        str(answer.get("user", {}).get("emailAddress", "")) or found.account,
        found.kind,
        found.place,
        client=short(login.client_id) if login else "",
        profile=login.profile if login else "",
        read_only=login is not None and login.scopes == (READ_ONLY,),
        used=int(quota.get("usage", 0)),
        limit=int(quota["limit"]) if "limit" in quota else None,
        problem=problem,
    )
