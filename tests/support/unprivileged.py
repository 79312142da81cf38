"""Runs Python as a user without root's rights, for whom file modes matter."""

import os
import subprocess
import sys

from tests.support.project import ROOT

_WITHOUT_CAPABILITIES = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")


def run_unprivileged(*arguments: str) -> str:
    """Run Python in the project's folder, and return what it prints.

    Root runs it without capabilities rather than as another user, whom the folder's mode may keep from the project.
    """
    prefix = _WITHOUT_CAPABILITIES if os.geteuid() == 0 else ()
    command = [*prefix, sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
