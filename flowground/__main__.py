"""`python -m flowground`, and the script `flowground`: the command line; see `flowground.cli`."""

import os
import sys

sys.path.insert(0, os.getcwd())  # the script would not find the app and own functions that lie in the working directory

from flowground.cli import main

if __name__ == "__main__":
    sys.exit(main())
