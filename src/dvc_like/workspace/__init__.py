"""The user's files: what is there, what changed since it was last recorded, and the `.gitignore` beside it."""
