"""What `fetch`, `pull` and `push` share: their options, and the selection those make."""

from __future__ import annotations

from typing import Any

import click

from ..ops._tracked import Selection


def transfer_options(function: Any) -> Any:
    """Add what `fetch`, `pull` and `push` have in common: which remote, how many requests, which revisions."""
    options = [
        click.argument("targets", nargs=-1),
        click.option("-r", "--remote", metavar="NAME", help="The remote to use instead of the default."),
        click.option("-j", "--jobs", type=click.IntRange(1), metavar="N", help="Requests in flight at once."),
        click.option("-a", "--all-branches", is_flag=True, help="Also what the tips of all branches need."),
        click.option("-T", "--all-tags", is_flag=True, help="Also what all tags need."),
        click.option("-A", "--all-commits", is_flag=True, help="Also what any commit needs."),
        click.option("--rev", "revisions", multiple=True, metavar="REV", help="Also what this revision needs."),
        click.option("-R", "--recursive", is_flag=True, help="Accepted for DVC's users: folders are always searched."),
    ]
    for option in reversed(options):
        function = option(function)
    return function


def selection(
    targets: tuple[str, ...], revisions: tuple[str, ...], all_branches: bool, all_tags: bool, all_commits: bool
) -> Selection:
    """Return what the revision options and targets select."""
    return Selection(targets, revisions, all_branches, all_tags, all_commits)
