"""Where a Redshift listens, in whichever form it was pasted."""

import re
from dataclasses import dataclass

from warehouse.errors import PermanentError

_PASTED = re.compile(
    r"(?:[a-z+_:]+://)?(?P<host>[a-z0-9][a-z0-9.-]*)(?::(?P<port>\d+))?(?:/(?P<database>[\w$-]+)?)?", re.IGNORECASE
)


@dataclass(frozen=True)
class Endpoint:
    """A host, and where they were pasted with it, its port and database."""

    host: str
    port: int | None = None
    database: str | None = None

    @classmethod
    def read(cls, pasted: str, place: str) -> "Endpoint":
        """Take apart a host name, an endpoint as the console shows it, or a JDBC URL, with or without blanks around it.

        Raises:
            PermanentError: it is none of these. The message names the place where it stands, and no value.
        """
        match = _PASTED.fullmatch(pasted.strip())
        if not match:
            raise PermanentError(f"{place}: not the host of a Redshift. Use its endpoint, without options")
        return cls(match["host"].lower(), int(match["port"]) if match["port"] else None, match["database"])

    def fill(self, place: str, port: int | None, database: str | None) -> "Endpoint":
        """Return the endpoint with a port and a database that are set apart from it.

        Raises:
            PermanentError: they are others than those that were pasted with the host.
        """
        for name, pasted, given in (("port", self.port, port), ("database", self.database, database)):
            if pasted and given and pasted != given:
                raise PermanentError(
                    f"{place}: contains another {name} than the {name} that is set. Remove one of them"
                )
        return Endpoint(self.host, port or self.port, database or self.database)
