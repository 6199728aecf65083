#!/usr/bin/env python3
"""Write the retrospective of the week: the documents' name for ``postga retrospective``."""

import sys
from pathlib import Path

if __package__ in {None, ""}:  # run as a file: the packages lie one folder up
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from observability import commands
from observability.retrospective_generator import main

if __name__ == "__main__":
    commands.run(main)
