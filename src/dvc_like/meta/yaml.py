"""YAML with the doors closed, for the meta files that are not in our own plain writing.

Owns the loader without aliases, tags, duplicate keys, second documents and deep nesting. The yaml
package itself is loaded at the first call: that takes longer than reading a thousand plain meta files.
"""

from __future__ import annotations

from functools import cache
from typing import Any

_PLAIN_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("map", "seq", "str", "int", "float", "bool", "null")}


@cache
def _loader() -> Any:
    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):  # type: ignore[misc]
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            keys = [self.construct_object(key, deep=True) for key, _ in node.value]
            if not all(isinstance(key, str) for key in keys):
                raise ValueError("a key is not text")
            if len(set(keys)) != len(keys):
                raise ValueError("a key stands twice")
            return super().construct_mapping(node, deep=True)

    # A date would not be written back as it was read: it stays text.
    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in pairs if tag in _PLAIN_TAGS]
        for first, pairs in base.yaml_implicit_resolvers.items()
    }
    return Loader


def load(data: bytes, max_depth: int) -> Any:
    """Return the one document in `data`; raise `ValueError` for whatever is not plain data."""
    import yaml

    try:
        depth = 0
        # Events come before any object is built, so a bomb is seen before it can grow.
        for event in yaml.parse(data, Loader=_loader()):
            if isinstance(event, yaml.AliasEvent):
                raise ValueError("aliases are not allowed")
            if getattr(event, "anchor", None) or getattr(event, "tag", None):
                raise ValueError("anchors and tags are not allowed")
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > max_depth:
                    raise ValueError("nested too deeply")
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
        return yaml.load(data, Loader=_loader())
    except (yaml.YAMLError, RecursionError, UnicodeDecodeError) as error:
        raise ValueError(" ".join(str(error).split())) from None


def spans(data: bytes) -> list[tuple[str, int, int, int]] | None:
    """Return where each top-level key of a loadable document stands: (key, its line, the last line, the column behind).

    Lines and columns count from 0. None when the keys do not stand at the beginning of lines of their own.
    """
    import yaml

    root = yaml.compose(data, Loader=_loader())
    if not isinstance(root, yaml.MappingNode) or root.flow_style or not root.value:
        return None
    found = []
    for key, value in root.value:
        if key.start_mark.column or key.start_mark.line != key.end_mark.line:
            return None
        found.append((str(key.value), key.start_mark.line, value.end_mark.line, value.end_mark.column))
    return found


def dump(document: dict[str, Any]) -> str:
    """Return `document` as YAML, keys in the order given."""
    import yaml

    dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return str(yaml.dump(document, Dumper=dumper, sort_keys=False, allow_unicode=True, default_flow_style=False))
