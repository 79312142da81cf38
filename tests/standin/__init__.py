"""A stand-in for Amazon Redshift and S3 on this machine, for tests: `run_standin()` starts it."""

from tests.standin.server import Standin, run_standin

__all__ = ["Standin", "run_standin"]
