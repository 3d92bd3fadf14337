"""``python -m miroir.node``: see ``miroir.node.server.main``."""

import sys

from miroir.node.server.main import main

sys.exit(main())
