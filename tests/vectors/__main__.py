"""How are the generated vectors written again? ``python -m tests.vectors [--record]``."""

from __future__ import annotations

import sys

from . import IDENTITIES, generated, record_identities

if "--record" in sys.argv[1:]:
    IDENTITIES.write_text(record_identities(), encoding="ascii")
for path, text in generated():
    path.write_text(text, encoding="ascii")
