"""Parsers of what strangers write, fed with everything: see `parsers`, and ``python -m tests.fuzz``."""
