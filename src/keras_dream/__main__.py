"""`python -m keras_dream` is `dream`."""

import sys

from keras_dream.cli import main

if __name__ == "__main__":
    sys.exit(main())
