"""The verbs, one file each: the only place where workspace, meta, cache and remote meet."""
