"""From the configuration of DVC to ours: remotes, the cache, and the few other settings that mean the same.

Owns the syntax of ``.dvc/config`` and the table of what is called how. What a tracked file may not hold is never made
local by us: it came from Git. What has no counterpart is named.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from configparser import Error, RawConfigParser

from ..config import check_remote_name, check_tracked, meaning
from ..errors import UsageError
from ..fsutil import Dir
from ..paths import CONTROL, fold, show
from ..remote.registry import redact, scheme_of
from ._foreign import Survey, read_if_any

FOLDER = ".dvc"
_MAX_SIZE = 1 << 20
#: Options of a remote that mean the same in both.
_OPTIONS = {
    "url": "url",
    "jobs": "jobs",
    "region": "region",
    "profile": "profile",
    "endpointurl": "endpointurl",
    "access_key_id": "accesskeyid",
    "secret_access_key": "secretaccesskey",
    "session_token": "sessiontoken",
    "allow_anonymous_login": "nosign",
    "sse": "sse",
    "sse_kms_key_id": "ssekmskeyid",
    "acl": "acl",
    "ssl_verify": "verify",
}
_NEEDLESS = {"verify", "checksum_jobs"}  # all that arrives is verified
#: Kinds of remotes that the package fsspec knows, by DVC's scheme and by its own.
_THROUGH_FSSPEC = {"ssh": "fsspec+sftp", "gs": "fsspec+gs", "azure": "fsspec+abfs"}
_IN_URL = {"user", "port"}
_SETTINGS = {"core.autostage": "core.autostage", "cache.type": "cache.type"}
_HIDDEN = re.compile(f"[{CONTROL}]")
_VERSIONED = ("version_aware", "worktree")

#: Section -> option -> (text, whether Git tracks the file that says so).
_Read = dict[str, dict[str, tuple[str, bool]]]


def translate(root: str, tracked: Collection[str], survey: Survey) -> str:
    """Add our settings to `survey`; return the folder of DVC's cache. `tracked` is what Git tracks here."""
    found = _read(root, tracked, survey)
    for name, ours in _SETTINGS.items():
        section, _, key = name.partition(".")
        if key in found.get(section, {}):
            _set(survey, ours, *found[section][key])
    remotes = {match[1]: name for name in found if (match := re.fullmatch(r'remote\s+"(.+)"', name))}
    for remote in remotes:
        _remote(root, remote, found, remotes, survey)
    default = found.get("core", {}).get("remote")
    if default is not None and any(f"remote.{default[0]}.url" in level for level in survey.settings.values()):
        _set(survey, "core.remote", *default)
    return _cache(root, tracked, found, survey)


def _read(root: str, known: Collection[str], survey: Survey) -> _Read:
    """Read both files of the repository; the local one wins. The user's and the machine's are none of its own.

    The local one is as good as any other where Git tracks it in some spelling, or a link that it lies behind.
    """
    found: _Read = {}
    near = {fold(path) for path in known if path.count("/") < 2}
    for name in ("config", "config.local"):
        tracked = name == "config" or FOLDER in near or f"{FOLDER}/{name}" in near
        try:
            with Dir.open_root(root) as top:
                data = read_if_any(top, f"{FOLDER}/{name}", _MAX_SIZE)
            if data is None:
                if os.path.lexists(os.path.join(root, FOLDER, name)):
                    survey.notes.append(f"{FOLDER}/{name} was not read: it is a link, or no ordinary file")
                continue
            text = data.decode()
            # Indented at will there; here a deeper line would continue the one before.
            parser = RawConfigParser(inline_comment_prefixes=("#",), strict=False)
            parser.read_string("\n".join(line.strip() for line in text.splitlines()))
        except (UnicodeDecodeError, Error) as error:
            survey.notes.append(f"{FOLDER}/{name} cannot be read: {show(str(error).splitlines()[0])}")
            continue
        for section in parser.sections():
            options = found.setdefault(section.strip("'"), {})
            options.update({key: (value.strip("'\""), tracked) for key, value in parser.items(section)})
    return found


def _remote(root: str, name: str, found: _Read, remotes: dict[str, str], survey: Survey) -> None:
    options = found[remotes[name]]
    url = _url(root, name, found, remotes)
    reason = _why_not(name, url, options)
    if reason:
        survey.notes.append(f"the remote {show(name)} ({show(redact(url))}) {reason}")
        return
    if scheme_of(url) in _THROUGH_FSSPEC:
        url = _through_fsspec(url, options)
        survey.notes.append(f"the remote {name} is reached through fsspec: `dvc-like remote test {name}` tells more")
    _set(survey, f"remote.{name}.url", url, options["url"][1])
    for key, (text, tracked) in options.items():
        if key in _OPTIONS and key != "url":
            _set(survey, f"remote.{name}.{_OPTIONS[key]}", text, tracked)
        elif key not in _OPTIONS and key not in _NEEDLESS and not (key in _IN_URL and url.startswith("fsspec+sftp:")):
            survey.notes.append(f"the option {show(key)} of the remote {name} has no counterpart and was left out")


def _why_not(name: str, url: str, options: dict[str, tuple[str, bool]]) -> str:
    """Return why a remote cannot be read in place, completing "the remote NAME ..."; empty when it can."""
    try:
        check_remote_name(name)
    except UsageError:
        return "has a name that no remote of dvc-like can have"
    if any(options.get(key, ("false", True))[0].lower() == "true" for key in _VERSIONED):
        return "holds files under their own names, not under their hashes: add another one and push there"
    scheme = scheme_of(url)
    if scheme == "gdrive":
        return (
            "cannot be read in place: objects on Drive are found by marks that DVC does not set. Add another folder "
            "there, and push to it"
        )
    if not url or scheme not in ("", "s3", *_THROUGH_FSSPEC):
        return f"is of a kind ({scheme or 'unknown'}) that cannot be read in place"
    return ""


def _url(root: str, name: str, found: _Read, remotes: dict[str, str]) -> str:
    """Return the URL of a remote, empty when it has none. A folder is seen from the root, as ours are."""
    rest = ""
    for _ in range(len(remotes)):
        url = found[remotes[name]].get("url", ("", True))[0]
        inner = re.fullmatch(r"remote://([^/]+)(/.*)?", url)
        if inner is None or inner[1] not in remotes:
            break
        name, rest = inner[1], (inner[2] or "") + rest
    else:
        return ""
    if url and not scheme_of(url) and not os.path.isabs(url) and not url.startswith("~"):
        url = os.path.relpath(os.path.join(root, FOLDER, url), root).replace(os.sep, "/")
    return url.rstrip("/") + rest if rest else url


def _through_fsspec(url: str, options: dict[str, tuple[str, bool]]) -> str:
    """Return the URL by which fsspec reaches the place; user and port of a host stand in it."""
    scheme, place = scheme_of(url), url.partition("://")[2]
    host, slash, path = place.partition("/")
    if scheme == "ssh":
        user, port = (options.get(key, ("", True))[0] for key in ("user", "port"))
        host = host if "@" in host or not user else f"{user}@{host}"
        host = host if re.search(r":\d+$", host) or not port else f"{host}:{port}"
    return f"{_THROUGH_FSSPEC[scheme]}://{host}{slash}{path}"


def _set(survey: Survey, name: str, text: str, tracked: bool) -> None:
    """Take over one setting, into the file that corresponds to the one it stood in."""
    level, section = ("project" if tracked else "local"), name.partition(".")[0]
    try:
        meaning(name, text)
        reason = check_tracked(section, name.rpartition(".")[2], text) if tracked else None
    except ValueError as error:
        reason = str(error)
    if _HIDDEN.search(text):
        reason = "holds a control character"
    if reason:
        survey.notes.append(f"{name} was left out: it {reason} (`dvc-like config --local` sets it, if you trust it)")
    else:
        survey.settings[level][name] = text


def _cache(root: str, tracked: Collection[str], found: _Read, survey: Survey) -> str:
    """Return DVC's cache folder. One outside the repository is used only on the word of what Git does not track."""
    usual = os.path.join(root, FOLDER, "cache")
    text, by_git = found.get("cache", {}).get("dir", ("", True))
    if _HIDDEN.search(text):
        survey.notes.append(f"the cache {show(text[:100])} was not used: its name holds a control character")
        return os.devnull
    place = os.path.normpath(os.path.join(root, FOLDER, os.path.expanduser(text))) if text else usual
    inner = f"{place}/".replace(os.sep, "/").removeprefix(f"{root}/".replace(os.sep, "/")).split("/")[:-1]
    is_outside = not os.path.normcase(place).startswith(os.path.normcase(os.path.join(root, "")))
    is_link = any("/".join(inner[:end]) in tracked for end in range(1, len(inner) + 1))  # Git tracks no folders
    if by_git and (is_outside or is_link):
        survey.notes.append(
            f"the cache {show(place)} was not used: what Git tracks leads there. If you trust it, "
            "`dvc cache dir --local` says it for this machine; then repeat."
        )
        return os.devnull  # in which nothing lies
    return place
