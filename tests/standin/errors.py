"""Errors that the server answers with."""


class ServerError(Exception):
    """The content of an ErrorResponse: SQLSTATE, message and detail."""

    def __init__(self, sqlstate: str, message: str, detail: str = "") -> None:
        super().__init__(f"{message} ({sqlstate})")
        self.sqlstate = sqlstate
        self.message = message
        self.detail = detail


def syntax_error(message: str) -> ServerError:
    """A statement that Redshift cannot parse."""
    return ServerError("42601", message)


def unsupported(message: str) -> ServerError:
    """Something that Redshift, or the stand-in, does not have."""
    return ServerError("0A000", message)
