"""Runs a trial; see the module `trial`. Its problem is the last line on standard error."""

from __future__ import annotations

import sys

from wsisam_server.inference.encoders.errors import EncoderError
from wsisam_server.inference.encoders.trial import main

try:
    main(sys.argv[1:])
except (EncoderError, OSError) as error:
    sys.exit(str(error))
