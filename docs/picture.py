"""Takes the README's picture: the first screen of a report.

usage: python docs/picture.py REPORT.html   (needs Chromium)
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

OUT = Path(__file__).parent / "images" / "report.png"


def main() -> int:
    """Open the page and save what a reader sees first."""
    page_path = Path(sys.argv[1]).absolute()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 1180}, color_scheme="light")
        page.goto(page_path.as_uri())
        page.screenshot(path=OUT)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
