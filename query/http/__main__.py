"""``python -m query.http``: the query service."""

import sys

from query.http.app import main

sys.exit(main())
