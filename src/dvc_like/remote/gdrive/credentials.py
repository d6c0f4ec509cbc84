"""Credentials for Google Drive: where they are looked for, and what it means when Google does not take them.

Owns the order of the places, and the words for each way in which there is nothing to be had: what happened, and the
command that mends it. Keeps nothing (`stored` does) and asks nobody to log in (`login` does). Google's libraries are
loaded when they are used. No secret stands in a message.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...errors import RemoteDenied, RemoteError, RemoteUnavailable
from ...paths import show
from .stored import TOKEN_URI, Login, check_profile, everything, load, short

DRIVE = "https://www.googleapis.com/auth/drive"
READ_ONLY = f"{DRIVE}.readonly"
VARIABLE = "DVC_LIKE_GDRIVE_CREDENTIALS"
LOG_IN = "Log in: dvc-like remote login NAME"
NO_ONE_THERE = f"{LOG_IN}. Where nobody can (CI, a service), set {VARIABLE}."

_GCLOUD = "764086051850-6qr4p6gpi6hn506pt8ejuq83di341hur"
_TESTING = 7 * 86_400 - 3600  # seconds that a login lasts while the consent screen is in "Testing", less an hour
_KINDS = {
    "service_account": "service account",
    "external_account": "workload identity",
    "impersonated_service_account": "impersonated service account",
}


@dataclass(frozen=True)
class Found:
    """Credentials, what they are and where they come from. Nothing has been asked of Google yet."""

    credentials: Any = field(repr=False)
    kind: str  # "login", "authorized user", "service account", "workload identity", ...
    place: str  # the path of a file, or the name of what holds them
    login: Login | None = field(default=None, repr=False)

    @property
    def account(self) -> str:
        """The address of the account, as far as it is known without asking."""
        return account_of(self.credentials)


def account_of(credentials: Any) -> str:
    """Return whose credentials they are: the address of a person or of a service account, or nothing."""
    return str(getattr(credentials, "account", "") or getattr(credentials, "service_account_email", "") or "")


# ------------------------------------------------------------------------------ the places


def find(options: Mapping[str, str], root: str = "") -> Found:
    """Return the first credentials there are: environment, option, login, Google's own defaults.

    `options` are the remote's, `root` is what the path of a file in them is relative to. Asks Google nothing. Raises
    `RemoteDenied` when there are none, or when what was given cannot be used.
    """
    try:
        import google.auth.transport.requests  # noqa: F401 - all that is needed later is there
    except ImportError as error:
        raise needs_google(error) from None
    scopes, subject = [DRIVE], options.get("subject", "")
    if given := os.environ.get("DVC_LIKE_GDRIVE_CREDENTIALS", "").strip():
        if given.startswith("{"):
            return _parsed(given, f"the variable {VARIABLE}", VARIABLE, scopes, subject)
        return _from_file(os.path.expanduser(given), f" (named by {VARIABLE})", scopes, subject)
    if path := options.get("credentials", ""):
        return _from_file(os.path.join(root, os.path.expanduser(path)), " (the option credentials)", scopes, subject)
    client, profile = options.get("clientid", ""), check_profile(options.get("profile", ""))
    if login := load(client, profile):
        return Found(of_login(login), "login", login.path, login)
    return _default(scopes, subject) or _nobody(client, profile)


def before_logins(options: Mapping[str, str]) -> str:
    """Return what counts before every login, if something does."""
    if os.environ.get("DVC_LIKE_GDRIVE_CREDENTIALS", "").strip():
        return f"the variable {VARIABLE}"
    return "the option credentials" if options.get("credentials") else ""


def needs_google(error: ImportError) -> RemoteError:
    """Return what to raise where Google's libraries are not installed."""
    return RemoteError(
        f"Google's libraries are needed for Google Drive and cannot be loaded ({show(str(error))[:100]})",
        hint="Install them with: pip install 'dvc-like[gdrive]'",
    )


def of_login(login: Login) -> Any:
    """Return credentials of a login; the address that gives tokens is the login's own."""
    from google.oauth2.credentials import Credentials

    return Credentials(  # not from_authorized_user_info, which puts Google's own address in its place
        None,
        refresh_token=login.refresh_token,
        token_uri=login.token_uri,
        client_id=login.client_id,
        client_secret=login.client_secret,
        account=login.account,
    )


def _from_file(path: str, why: str, scopes: list[str], subject: str) -> Found:
    place = f"{show(path)}{why}"
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(1 << 20)
    except UnicodeDecodeError:
        text = ""
    except OSError as error:
        raise RemoteDenied(
            f"the credentials in {place} cannot be read: {error.strerror}", hint="Correct the path, or its permissions."
        ) from None
    return _parsed(text, place, path, scopes, subject)


def _parsed(text: str, place: str, path: str, scopes: list[str], subject: str) -> Found:
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise RemoteDenied(
            f"{place} holds no JSON",
            hint=f"{VARIABLE} takes the JSON itself or the path of a file; was it cut off, or encoded as base64?",
        )
    kind = content.get("type", "authorized_user" if "refresh_token" in content else "")
    if "installed" in content or "web" in content:
        raise RemoteDenied(
            f"{place} is an OAuth client, and lets nobody in by itself",
            hint="Log in with it: dvc-like remote login NAME --client-secrets FILE",
        )
    try:
        made = _authorized_user(content, place) if kind == "authorized_user" else _google(content, scopes)
    except RemoteError:
        raise
    except Exception as error:  # ValueError, KeyError and several of google-auth's own, for what is wrong in the JSON
        raise RemoteDenied(
            f"{place} holds no credentials of Google ({type(error).__name__})",
            hint="Known: authorized_user, service_account, external_account, impersonated_service_account.",
        ) from None
    if subject and hasattr(made, "with_subject"):
        made = made.with_subject(subject)
    return Found(made, _KINDS.get(kind, "authorized user"), path)


def _google(content: dict[str, Any], scopes: list[str]) -> Any:
    """Return credentials of a machine. google.auth has one loader for all kinds, but it asks Google for a project."""
    kind = content.get("type")
    if kind == "service_account":
        from google.oauth2 import service_account

        return service_account.Credentials.from_service_account_info(content, scopes=scopes)
    if kind == "impersonated_service_account":
        from google.auth import impersonated_credentials

        return impersonated_credentials.Credentials.from_impersonated_service_account_info(content, scopes=scopes)
    if kind != "external_account":
        raise ValueError
    from google.auth import aws, identity_pool, pluggable

    module: Any = identity_pool
    if content["subject_token_type"].startswith("urn:ietf:params:aws:"):
        module = aws
    elif "executable" in content["credential_source"]:  # runs only where the user's environment allows it
        module = pluggable
    return module.Credentials.from_info(content, scopes=scopes)


def _authorized_user(content: dict[str, Any], place: str) -> Any:
    from google.oauth2.credentials import Credentials

    client = str(content["client_id"])
    refuse_gcloud(client, place)
    return Credentials(
        None,
        refresh_token=content["refresh_token"],
        token_uri=content.get("token_uri") or TOKEN_URI,
        client_id=client,
        client_secret=content["client_secret"],
        account=content.get("account") or "",
    )


def refuse_gcloud(client_id: str, place: str) -> None:
    """Raise `RemoteDenied` for gcloud's own client."""
    if short(client_id) == _GCLOUD:
        raise RemoteDenied(
            f"{place} was made by gcloud, whose own client may not use Google Drive since June 2025",
            hint=f"{LOG_IN}. Or give gcloud a client of yours: gcloud auth application-default login"
            f" --client-id-file=FILE --scopes={DRIVE},https://www.googleapis.com/auth/cloud-platform",
        )


def _default(scopes: list[str], subject: str) -> Found | None:
    """Return Google's "application default credentials", if there are some.

    google.auth.default looks for them too, but starts gcloud to ask for a project, prints warnings, and waits many
    seconds for a metadata server on machines that have none. So it is asked only in Google's cloud.
    """
    if path := os.environ.get("GOOGLE_APPLICATION_CREDENTIALS"):
        return _from_file(path, " (named by GOOGLE_APPLICATION_CREDENTIALS)", scopes, subject)
    path = os.path.join(_gcloud_folder(), "application_default_credentials.json")
    if os.path.isfile(path):
        return _from_file(path, " (of gcloud)", scopes, subject)
    if not _in_google_cloud():
        return None
    import google.auth

    try:
        return Found(google.auth.default(scopes=scopes)[0], "machine's service account", "the metadata server")
    except google.auth.exceptions.DefaultCredentialsError:
        return None


def _gcloud_folder() -> str:
    if folder := os.environ.get("CLOUDSDK_CONFIG"):
        return folder
    if os.name == "nt":
        return os.path.join(os.environ.get("APPDATA") or os.path.expanduser("~"), "gcloud")
    return os.path.join(os.path.expanduser("~"), ".config", "gcloud")


def _in_google_cloud() -> bool:
    if os.environ.get("K_SERVICE"):  # Cloud Run
        return True
    try:
        with open("/sys/class/dmi/id/product_name", encoding="utf-8") as file:
            return file.read(20).startswith("Google")
    except (OSError, UnicodeDecodeError):
        return False


def _nobody(client: str, profile: str) -> Found:
    others = everything()
    which = f" with the profile {profile}" if others or profile != "default" else ""
    which += f" and the client {short(client)}" if client and others else ""
    raise RemoteDenied(
        f"nobody is logged in to Google Drive here{which}",
        hint=NO_ONE_THERE,
        details=tuple(f"logged in: {one}" for one in others),
    )


# ------------------------------------------------------------------------------ what Google answers


def explain(error: Exception, credentials: Any, *, made: int = 0) -> RemoteError:
    """Return what it means that credentials were not taken, and what to do; `made` is when somebody logged in.

    For what `refresh` raises, at the start or in the middle of a long transfer.
    """
    from google.auth.exceptions import TransportError

    text = f"{error} {getattr(error, 'args', ('',))[1:]}"
    if isinstance(error, TransportError) or getattr(error, "retryable", False):
        return RemoteUnavailable(
            "Google's sign-in service does not answer", hint="Is there a network? A proxy is named by HTTPS_PROXY."
        )
    who = account_of(credentials)
    kind = type(credentials).__module__.rpartition(".")[2]
    told = _of_person(text, who, made) if hasattr(credentials, "refresh_token") else _of_machine(text, who, kind)
    return told or RemoteDenied(
        f"Google did not take the credentials{_of(who)} ({_code(text)})", hint=f"Renew them. {NO_ONE_THERE}"
    )


def _of(who: str) -> str:
    return f" of {show(who)}" if who else ""


def _code(text: str) -> str:
    """Return what may be shown of an answer: the first word, which is a code in all that Google documents."""
    word = text.strip("('").partition(":")[0].strip()
    return word if word.replace("_", "").isalpha() and len(word) < 40 else "without a known code"


def _of_person(text: str, who: str, made: int) -> RemoteError | None:
    if "invalid_rapt" in text or "rapt_required" in text or "Reauthentication" in text:
        return RemoteDenied(
            f"your organisation wants the login{_of(who)} to be renewed from time to time",
            hint=f"{LOG_IN}. An administrator can exempt the client from it.",
        )
    if "invalid_grant" in text:
        if made and time.time() - made > _TESTING:
            return RemoteDenied(
                f"the login{_of(who)} has ended: so it goes after 7 days while the consent screen is in 'Testing'",
                hint="Set it to 'In production' (Google Auth Platform, Audience), then: dvc-like remote login NAME",
            )
        return RemoteDenied(
            f"the login{_of(who)} is over: it was withdrawn, or it ran out",
            hint=f"{LOG_IN}. If that happens every 7 days, set the consent screen to 'In production'.",
        )
    if any(code in text for code in ("invalid_client", "deleted_client", "unauthorized_client", "disabled_client")):
        return RemoteDenied(
            "Google does not know the OAuth client of this login any more, or not its secret",
            hint="Download the client's file again, then: dvc-like remote login NAME --client-secrets FILE",
        )
    if "invalid_scope" in text:
        return missing_scope(who)
    return None


def missing_scope(who: str) -> RemoteDenied:
    """Return what to raise when the credentials are good, and not for this."""
    return RemoteDenied(
        f"the credentials{_of(who)} do not allow this in Google Drive: a permission (scope) is missing",
        hint="Log in again, without --read-only, and tick the box for Drive: dvc-like remote login NAME",
    )


def _of_machine(text: str, who: str, kind: str) -> RemoteError | None:
    if "getAccessToken" in text or "Unable to acquire impersonated" in text:
        return RemoteDenied(
            "the identity of this job may not act for the service account",
            hint="Grant it the role Workload Identity User (or Service Account Token Creator) on that account.",
        )
    if kind in ("identity_pool", "aws", "pluggable"):
        return RemoteDenied(
            f"the identity of this job was not taken by the workload identity pool ({_code(text)})",
            hint="Compare the provider's audience and condition with the job. GitHub: permissions: id-token: write.",
        )
    if kind != "service_account":
        return None
    if "short-lived" in text:
        return RemoteDenied(
            "this machine's clock is wrong: Google takes no key with such a time", hint="Set the clock."
        )
    if "unauthorized_client" in text or "access_denied" in text:
        return RemoteDenied(
            f"the service account{_of(who)} may not act for the user that `subject` names",
            hint="An administrator has to allow its client id the Drive scope (domain-wide delegation).",
        )
    return RemoteDenied(
        f"Google does not take the key of the service account{_of(who)} ({_code(text)})",
        hint=f"Was it deleted, or cut off? Make a new key, and give it by {VARIABLE} or the option credentials.",
    )
