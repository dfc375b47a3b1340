"""`python -m graph_simulator` is the same as the `graph-simulator` command."""

import sys

from graph_simulator.cli import main

sys.exit(main())
