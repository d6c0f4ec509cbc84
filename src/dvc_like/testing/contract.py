"""The backend contract as tests: what `dvc_like.remote.base` obliges a backend to, each obligation once.

Owns `BackendContract`, to be subclassed in a test file of every backend, also those of other packages. Uses pytest
but none of its fixtures; a subclass may.
"""

from __future__ import annotations

from .keys import KeyTests
from .objects import ObjectTests
from .writers import WriterTests


class BackendContract(ObjectTests, WriterTests, KeyTests):
    """Subclass it, name the subclass ``Test...`` and give it `make_backend` and `reopen`.

    `MANY` is how many objects "many" are: more than one page of the store's listing finds more mistakes, and takes
    longer. The name of a test that fails says which obligation is broken; its text is in `dvc_like.remote.base`.
    """
