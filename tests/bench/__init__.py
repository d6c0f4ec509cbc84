"""The benchmark: dvc-like against the cheapest tool that does the same work, and against DVC.

Run it with ``python -m tests.bench`` from the root of the repository; ``--help`` lists the options.
It needs the standard library, git, a POSIX ``cp`` and the installed ``dvc-like``.
"""
