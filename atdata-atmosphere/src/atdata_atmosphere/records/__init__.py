"""Records of the AT Protocol network as values: pure functions that open and send nothing.

The first generation is written; it and all later ones are read. What is read was written by
strangers, so every field is checked, and errors name the record and the field.
"""

from __future__ import annotations
