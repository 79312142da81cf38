"""`python -m flows.generate`: generates data."""

from flows.command_line import run_command
from flows.generate import generate

run_command(generate)
