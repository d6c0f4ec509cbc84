"""The command table: which commands there are, where they live, and their one-line help.

Read by `--help` and the completion without importing a single command.
"""

from __future__ import annotations

#: Command -> (module:attribute, one line of help). The order is that of `--help`.
COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("dvc_like.cli.init:command", "Make this Git repository a dvc-like project."),
    "migrate": ("dvc_like.cli.migrate:command", "Take over what DVC or Git LFS tracks here."),
    "add": ("dvc_like.cli.add:command", "Track files and folders, or record their present state."),
    "commit": ("dvc_like.cli.commit:command", "Record the present state of what is tracked already."),
    "status": ("dvc_like.cli.status:command", "Show what differs from what is recorded."),
    "diff": ("dvc_like.cli.diff:command", "Show what differs between revisions, or to the workspace."),
    "log": ("dvc_like.cli.log:command", "Show what became of one path, commit by commit."),
    "ls": ("dvc_like.cli.ls:command", "List what a repository tracks, here or not."),
    "du": ("dvc_like.cli.du:command", "Show how much tracked folders hold."),
    "checkout": ("dvc_like.cli.checkout:command", "Bring the workspace to what the meta files say."),
    "fetch": ("dvc_like.cli.fetch:command", "Bring data from a remote into the cache."),
    "pull": ("dvc_like.cli.pull:command", "Bring data from a remote into the workspace."),
    "push": ("dvc_like.cli.push:command", "Send data from the cache to a remote."),
    "remove": ("dvc_like.cli.remove:command", "Stop tracking, and keep or remove the data."),
    "move": ("dvc_like.cli.move:command", "Move or rename a target."),
    "unprotect": ("dvc_like.cli.unprotect:command", "Make links into the cache private copies."),
    "remote": ("dvc_like.cli.remote:command", "Name the places where data goes."),
    "config": ("dvc_like.cli.config:command", "Read and change settings."),
    "cache": ("dvc_like.cli.cache:command", "Say where the objects on this machine lie."),
    "get": ("dvc_like.cli.get:command", "Take a file or folder out of another repository."),
    "import": ("dvc_like.cli.import_:command", "Track a file or folder of another repository."),
    "import-url": ("dvc_like.cli.import_url:command", "Track a file or folder that lies at a URL."),
    "update": ("dvc_like.cli.update:command", "Bring what was imported up to date."),
    "drop": ("dvc_like.cli.drop:command", "Free the disk of what a remote is proved to have."),
    "undo": ("dvc_like.cli.undo:command", "Take back the last command, data and meta files."),
    "gc": ("dvc_like.cli.gc:command", "Free the cache of what nothing needs."),
    "fsck": ("dvc_like.cli.fsck:command", "Check, and with --repair mend, the cache."),
    "doctor": ("dvc_like.cli.doctor:command", "Show what this is made of, and what is wrong."),
    "completion": ("dvc_like.cli.completion:command", "Print the completion script of a shell."),
    "check-ignore": ("dvc_like.cli.check_ignore:command", "Show what .dvc-likeignore leaves out, and why."),
    "verify": ("dvc_like.cli.verify:command", "Fail unless the data of revisions is all there."),
    "install": ("dvc_like.cli.install:command", "Let Git hooks keep data and commits together."),
    "uninstall": ("dvc_like.cli.uninstall:command", "Take the Git hooks away again."),
    "root": ("dvc_like.cli.root:command", "Print the project's root folder."),
    "git-hook": ("dvc_like.cli.git_hook:command", "Do what a Git hook is for; Git runs it."),
    "git-merge": ("dvc_like.cli.git_merge:command", "Merge meta files; Git runs it."),
    "git-textconv": ("dvc_like.cli.git_textconv:command", "Show a meta file as a listing; Git runs it."),
}

#: Commands that are for Git to run: `--help` does not list them.
HIDDEN = frozenset({"git-hook", "git-merge", "git-textconv"})
