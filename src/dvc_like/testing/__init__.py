"""For authors of backends: the contract as a suite of tests, and a backend that fails on demand. Needs pytest.

Owns nothing itself.

    from dvc_like.testing import BackendContract

    class TestMine(BackendContract):
        def make_backend(self): ...   # on an empty store
        def reopen(self): ...         # another one on the same store
"""

from __future__ import annotations

import pytest

# Before they are imported: then a failed assertion shows what was compared, as in a test file.
pytest.register_assert_rewrite(*(f"{__name__}.{part}" for part in ("samples", "objects", "writers", "keys")))

from .contract import BackendContract  # noqa: E402 - see above
from .faults import Drop, Fail, FaultyBackend, Flip, Slow, Truncate  # noqa: E402 - see above

__all__ = ["BackendContract", "Drop", "Fail", "FaultyBackend", "Flip", "Slow", "Truncate"]
