"""The API as the discovery document describes it: which calls there are, what they take, what may be asked back.

The document is the one that google-api-python-client ships. Nothing here knows files, accounts or sockets.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote

from .errors import Violation, invalid, refusal

_INTEGER = re.compile(r"-?[0-9]+")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")

#: What is answered without `fields`; every call that is not here answers all it has.
_FILE = "kind,id,name,mimeType,resourceKey"
DEFAULT_MASKS = {
    **dict.fromkeys(("files.get", "files.create", "files.update", "files.copy"), _FILE),
    "files.list": f"kind,incompleteSearch,nextPageToken,files({_FILE})",
    "changes.list": "kind,nextPageToken,newStartPageToken,"
    f"changes(kind,type,changeType,time,removed,fileId,driveId,file({_FILE}))",
    "drives.get": "kind,id,name",
    "drives.list": "kind,nextPageToken,drives(kind,id,name)",
    "permissions.list": "kind,nextPageToken,permissions(kind,id,type,role)",
    "permissions.create": "kind,id,type,role",
}


class Method(NamedTuple):
    """One call of the API; `name` is like files.list."""

    name: str
    verb: str
    pattern: re.Pattern[str]
    parameters: dict[str, Any]
    request: str
    response: str
    scopes: frozenset[str]


class Mask(dict[str, "Mask | None"]):
    """What of an answer is wanted; None: all of it."""


@functools.cache
def document() -> dict[str, Any]:
    """Return the discovery document."""
    from googleapiclient.discovery_cache import get_static_doc

    found: dict[str, Any] = json.loads(get_static_doc("drive", "v3"))
    return found


@functools.cache
def methods() -> dict[str, Method]:
    """Return all calls by name."""

    def read(resources: dict[str, Any]) -> Iterator[Method]:
        for resource in resources.values():
            yield from read(resource.get("resources", {}))
            for one in resource.get("methods", {}).values():
                pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/:]+)", one["path"])
                yield Method(
                    one["id"].removeprefix("drive."),
                    one["httpMethod"],
                    re.compile(pattern),
                    one.get("parameters", {}),
                    one.get("request", {}).get("$ref", ""),
                    one.get("response", {}).get("$ref", ""),
                    frozenset(one.get("scopes", ())),
                )

    return {method.name: method for method in read(document()["resources"])}


def route(verb: str, path: str) -> tuple[Method, dict[str, str]]:
    """Find the call that a path below the service's means, and its path parameters. Raises Violation."""
    found = [(each, match) for each in methods().values() if (match := each.pattern.fullmatch(path))]
    if not found:
        raise Violation(404, "notFound", f"{verb} {path}: no such call")
    found.sort(key=lambda pair: len(pair[1].groupdict()))  # files/generateIds is no file of that name
    for method, match in found:
        if method.verb == verb:
            return method, {name: unquote(value) for name, value in match.groupdict().items()}
    raise Violation(405, "httpMethodNotAllowed", f"{verb} {path}: the method is not allowed")


def check_query(method: Method, query: dict[str, list[str]]) -> dict[str, Any]:
    """Return the parameters with their types. Raises Violation."""
    own = {name: one for name, one in method.parameters.items() if one["location"] == "query"}
    known = document()["parameters"] | own
    found: dict[str, Any] = {}
    for name, values in query.items():
        if name not in known:
            raise invalid(f"{method.name}: unknown parameter {name!r}", name, "invalidParameter")
        if len(values) > 1 and not known[name].get("repeated"):
            raise invalid(f"{method.name}: {name} is given twice", name, "invalidParameter")
        found[name] = _parameter(name, known[name], values[0])
    for name, one in method.parameters.items():
        if one.get("required") and one["location"] == "query" and name not in found:
            raise invalid(f"Required parameter: {name}", name, "required")
    return found


def _parameter(name: str, rule: dict[str, Any], value: str) -> Any:
    if "enum" in rule and value not in rule["enum"]:
        raise invalid(f"Invalid value '{value}' for {name}: not one of {rule['enum']}", name, "invalidParameter")
    if rule["type"] == "boolean":
        if value not in ("true", "false"):
            raise invalid(f"Invalid boolean value: '{value}' for {name}", name, "invalidParameter")
        return value == "true"
    if rule["type"] == "integer":
        if not _INTEGER.fullmatch(value):
            raise invalid(f"Invalid unsigned integer value: '{value}' for {name}", name, "invalidParameter")
        if int(value) < int(rule.get("minimum", value)):
            raise invalid(f"Invalid value '{value}' for {name}: below {rule['minimum']}", name, "invalidParameter")
        return min(int(value), int(rule.get("maximum", value)))
    return value


# ------------------------------------------------------------------------------ bodies


def check_body(name: str, value: Any, *, writing: bool) -> None:
    """Raise Violation unless `value` is what the schema of this name says; `writing`: output-only fields are not."""
    _check({"$ref": name}, value, name, writing)


def _check(rule: dict[str, Any], value: Any, where: str, writing: bool) -> None:
    if "$ref" in rule:
        rule = document()["schemas"][rule["$ref"]]
    kind, shape = rule.get("type"), rule.get("format", "")
    if kind == "object":
        _check_object(rule, value, where, writing)
    elif kind == "array":
        if not isinstance(value, list):
            raise invalid(f"{where}: not a list")
        for one in value:
            _check(rule["items"], one, where + "[]", writing)
    elif kind == "string":
        good = isinstance(value, str)
        good = good and (shape not in ("int64", "uint64") or bool(_INTEGER.fullmatch(value)))
        good = good and (shape != "date-time" or bool(_TIME.fullmatch(value)))
        if not good or value not in rule.get("enum", [value]):
            raise invalid(f"{where}: {value!r} is no {shape or 'string'}")
    elif kind == "boolean":
        if not isinstance(value, bool):
            raise invalid(f"{where}: {value!r} is no boolean")
    elif kind == "integer":
        if isinstance(value, bool) or not isinstance(value, int):
            raise invalid(f"{where}: {value!r} is no integer")
    elif kind == "number" and (isinstance(value, bool) or not isinstance(value, (int, float))):
        raise invalid(f"{where}: {value!r} is no number")


def _check_object(rule: dict[str, Any], value: Any, where: str, writing: bool) -> None:
    if not isinstance(value, dict):
        raise invalid(f"{where}: not an object")
    known, rest = rule.get("properties", {}), rule.get("additionalProperties")
    for name, one in value.items():
        if name in known:
            if writing and known[name].get("description", "").startswith("Output only"):
                said = refusal("fieldNotWritable").message
                raise Violation(403, "fieldNotWritable", f"{said} ({where}.{name})")
            if one is not None or not writing:  # null in a request: to be cleared
                _check(known[name], one, f"{where}.{name}", writing)
        elif rest is None:
            raise invalid(f"{where}: unknown field {name!r}")
        elif one is not None or not writing:
            _check(rest, one, f"{where}.{name}", writing)


# ------------------------------------------------------------------------------ partial answers


def parse_mask(text: str, response: str) -> Mask | None:
    """Read a `fields` parameter for answers of this schema. Raises Violation for a field that they do not have."""
    tokens = re.findall(r"[A-Za-z0-9_*.$-]+|[,()/]", text.replace(" ", ""))
    if "".join(tokens) != text.replace(" ", "") or not tokens:
        raise _no_field(text)
    try:
        mask, rest = _selection(tokens, {"$ref": response}, text)
    except IndexError:
        raise _no_field(text) from None
    if rest:
        raise _no_field(text)
    return mask


def _no_field(text: str) -> Violation:
    return invalid(f"Invalid field selection {text}", "fields", "invalidParameter")


def _selection(tokens: list[str], rule: dict[str, Any], text: str) -> tuple[Mask | None, list[str]]:
    mask: Mask | None = Mask()
    while True:
        name, tokens = tokens[0], tokens[1:]
        below: Mask | None = None
        if name == "*":
            mask = None
        else:
            inner = _inner(rule, name, text)
            if tokens[:1] == ["/"]:
                below, tokens = _one(tokens[1:], inner, text)
            elif tokens[:1] == ["("]:
                below, tokens = _selection(tokens[1:], inner, text)
                if tokens[0] != ")":
                    raise _no_field(text)
                tokens = tokens[1:]
            if mask is not None:
                before = mask.get(name, Mask())
                mask[name] = None if below is None or before is None else Mask(before | below)
        if tokens[:1] != [","]:
            return mask, tokens
        tokens = tokens[1:]


def _one(tokens: list[str], rule: dict[str, Any], text: str) -> tuple[Mask | None, list[str]]:
    """Read what follows a slash: one name, which may go on."""
    name, rest = tokens[0], tokens[1:]
    if name == "*":
        return None, rest
    inner = _inner(rule, name, text)
    if rest[:1] == ["/"]:
        below, rest = _one(rest[1:], inner, text)
        return Mask({name: below}), rest
    if rest[:1] == ["("]:
        below, rest = _selection(rest[1:], inner, text)
        if rest[0] != ")":
            raise _no_field(text)
        return Mask({name: below}), rest[1:]
    return Mask({name: None}), rest


def _inner(rule: dict[str, Any], name: str, text: str) -> dict[str, Any]:
    while "$ref" in rule or rule.get("type") == "array":
        rule = document()["schemas"][rule["$ref"]] if "$ref" in rule else rule["items"]
    if name in rule.get("properties", {}):
        found: dict[str, Any] = rule["properties"][name]
        return found
    if "additionalProperties" in rule:
        other: dict[str, Any] = rule["additionalProperties"]
        return other
    raise _no_field(text)


def apply_mask(mask: Mask | None, value: Any) -> Any:
    """Return what of `value` is wanted."""
    if mask is None:
        return value
    if isinstance(value, list):
        return [apply_mask(mask, one) for one in value]
    if not isinstance(value, dict):
        return value
    return {name: apply_mask(mask[name], one) for name, one in value.items() if name in mask}
