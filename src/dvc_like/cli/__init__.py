"""The shell: one file per command, turning arguments into calls of `ops` and results into output."""
