"""`python -m observability`: the same as `postga`."""

from observability.cli import main

if __name__ == "__main__":
    main()
