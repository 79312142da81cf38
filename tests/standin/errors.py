"""Errors as the server answers them."""


class ServerError(Exception):
    """What an ErrorResponse says: SQLSTATE, message and detail."""

    def __init__(self, sqlstate: str, message: str, detail: str = "") -> None:
        super().__init__(f"{message} ({sqlstate})")
        self.sqlstate = sqlstate
        self.message = message
        self.detail = detail


def syntax_error(message: str) -> ServerError:
    """What no Redshift can parse."""
    return ServerError("42601", message)


def unsupported(message: str) -> ServerError:
    """What Redshift, or the stand-in, does not have."""
    return ServerError("0A000", message)
