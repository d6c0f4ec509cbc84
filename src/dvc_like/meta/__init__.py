"""The two text formats: the meta file that Git tracks, and the tree object that lists a folder."""
