"""`make bench`, or python -m experiments.bench --help."""

import sys

# Every contender's process imports this module again, as its program's; the rest only the program
# itself.
if __name__ == "__main__":
    from experiments.bench.comparison import main

    sys.exit(main())
