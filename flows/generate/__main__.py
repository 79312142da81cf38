"""`python -m flows.generate`: generates data."""

from flows.command_line import run_command

run_command("flows.generate:generate")
