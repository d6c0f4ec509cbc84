"""`docs/` as a site: what has to hold for MkDocs to show every page, checked without it.

What only MkDocs can tell, whether an anchor is there, is told by ``mkdocs build --strict`` in the workflow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
SITE = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
PAGES = {
    path.relative_to(DOCS).as_posix(): path.read_text(encoding="utf-8")
    for path in DOCS.rglob("*.md")
    if "changes" not in path.parts
}


def entries(nav: Any) -> Iterator[str]:
    for entry in nav:
        if isinstance(entry, str):
            yield entry
        else:
            for below in entry.values():
                yield from entries([below] if isinstance(below, str) else below)


def test_every_page_is_in_the_navigation_once() -> None:
    assert sorted(entries(SITE["nav"])) == sorted(PAGES)
    assert "/changes/" in SITE["exclude_docs"].split()


def test_lists_are_indented_as_both_readers_want() -> None:
    """A list in a list that is indented by fewer than four columns is flat for MkDocs, though not for GitHub."""
    for name, text in PAGES.items():
        prose = re.sub(r"^```.*?^```|<!--.*?-->", "", text, flags=re.M | re.S)
        assert not re.search(r"^ {1,3}(?:[-*]|\d+\.) .*", prose, re.M), name
        assert not re.search(r"^ +```", prose, re.M), f"{name}: MkDocs knows no fence that is indented"
