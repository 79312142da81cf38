"""Take the pictures in docs/images, of a run of `local` and the report on it: `make screenshots`."""

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.browser import CHROMIUM, MISSING, Page, open_browser
from tests.support.deployed import Clone, clone, served
from tests.support.project import ROOT

PICTURES = ROOT / "docs/images"
SETTLED_SECONDS = 5
"""The run's graph is drawn on a canvas, which does not report when it is complete."""


def take_all() -> None:
    """Serve a clone, run the pipeline and the analytics there, and take the pictures."""
    with TemporaryDirectory() as folder, clone(Path(folder)) as project, served(project):
        ui = project.api.removesuffix("/api") + "/v2"
        done, run = project.run("local")
        assert done.returncode == 0, done.stdout
        report = project.command("flows.analytics")
        assert report.returncode == 0, report.stderr
        with open_browser(project.folder / "chromium") as page:
            take(page, f"{ui}/runs/flow-run/{run['id']}", "run", height=512)
            take(page, f"{ui}/artifacts/artifact/{artifact(project, 'sparkify-tables')}", "tables", height=620)
            take(page, f"{ui}/deployments/deployment/{run['deployment_id']}/run", "form", height=1700)
            take(page, (project.folder / "report.html").as_uri(), "report", width=1000, height=960)


def artifact(project: Clone, key: str) -> str:
    """Return the id of the newest artifact of a kind."""
    found = project.ask("artifacts/filter", artifacts={"key": {"like_": f"{key}-%"}}, sort="CREATED_DESC")
    return str(found[0]["id"])


def take(page: Page, url: str, name: str, *, height: int, width: int = 1280) -> None:
    """Save a picture of a page in a window of this size."""
    page.open(url, width=width, height=height)
    time.sleep(SETTLED_SECONDS)
    page.screenshot(PICTURES / f"{name}.png", whole=False)
    print(PICTURES / f"{name}.png")


if __name__ == "__main__":
    if not CHROMIUM:
        sys.exit(MISSING)
    take_all()
