"""Reading over HTTP: as patient as the S3 SDK, and no request is other than the URL says.

Imported when the first web URL is opened, for it needs urllib3.
"""

from __future__ import annotations

from atdata.dataset.web.listing import list_web
from atdata.dataset.web.stream import WebStream

__all__ = ["WebStream", "list_web"]
