"""`python -m flowground`: the command line; see `flowground.cli`."""

import sys

from flowground.cli import main

if __name__ == "__main__":
    sys.exit(main())
