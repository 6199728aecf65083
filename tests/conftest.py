"""What all tests share: examples that hypothesis draws are not timed, and are the same ones in every run of CI."""

import os

from hypothesis import settings

settings.register_profile("postga", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("postga")
