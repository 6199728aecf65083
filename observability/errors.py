"""What can go wrong, each with the exit code that it becomes.

Every message is one sentence for the person at the terminal: it names the file, KPI or URL and says what to do.
"""


class PostgaError(Exception):
    """Base of every error that a user can cause or repair. Its text is printed as it stands, without a traceback."""

    exit_code = 70


class FoundError(PostgaError):
    """What ``--fail-on`` asked to fail on was found. Everything has been written by then."""

    exit_code = 1


class ConfigError(PostgaError):
    """A flag, a release file, a query or an input file cannot be used as it is."""

    exit_code = 2


class SourceError(PostgaError):
    """The source of samples cannot be reached, or does not answer as Prometheus does."""

    exit_code = 3


class NotEnoughDataError(PostgaError):
    """The source answers, but has too little data to say anything."""

    exit_code = 4
