"""Google Drive as a remote."""
