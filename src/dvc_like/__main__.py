"""``python -m dvc_like``."""

import sys

from .cli.main import main

sys.exit(main())
