"""``python -m atdata.cli``, the same as ``atdata``."""

from __future__ import annotations

import sys

from atdata.cli import main

sys.exit(main())
