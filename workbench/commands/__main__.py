"""``python -m workbench.commands``: the command line without its script."""

import sys

from workbench.commands import main

sys.exit(main())
