"""
Every error that modeltrail raises on purpose.

Each class is a state that a caller can act on; each message says what to do.
Nothing here is ever raised inside a model call.
"""


class ModeltrailError(Exception):
    """
    The root of all errors of this package.
    """


class ConfigurationError(ModeltrailError, ValueError):
    """
    An argument or an environment variable has a value that cannot work.
    """


class StoreUnavailableError(ModeltrailError, OSError):
    """
    The database or the spool folder cannot be reached or written now.
    """


class CorruptStoreError(StoreUnavailableError):
    """
    The SQLite file is damaged, no database at all, or not there any more.
    """


class SchemaError(ModeltrailError):
    """
    The database's schema does not fit this version of modeltrail.

    Attributes:
        found: The schema revision in the database, None if it has none.
        known: The newest revision that this version knows.
    """

    def __init__(self, message: str, *, found: str | None, known: str) -> None:
        super().__init__(message)
        self.found = found
        self.known = known


class KeyMismatchError(ModeltrailError):
    """
    The key at hand is not the one that this trail was made with.
    """


class RecordNotFoundError(ModeltrailError, LookupError):
    """
    No record has this id.
    """


class MissingExtraError(ModeltrailError, ImportError):
    """
    A feature needs a package that only an optional extra installs.
    """

    def __init__(self, extra: str, feature: str) -> None:
        super().__init__(f"{feature} needs an extra: pip install 'modeltrail[{extra}]'")
        self.extra = extra
