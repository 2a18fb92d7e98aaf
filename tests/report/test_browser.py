"""The page in a real browser, from a file and with no network."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assay.report import Report, to_html

pytestmark = pytest.mark.browser
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def pages(report: Report, hostile: Report, bare: Report, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    made = {}
    for name, content in (("report", report), ("hostile", hostile), ("bare", bare)):
        made[name] = folder / f"{name}.html"
        made[name].write_text(to_html(content), encoding="utf-8")
    return made


class Visit:
    """One page opened, with everything it said on the console and everything it asked for."""

    def __init__(self, browser: Any, path: Path, *, width: int = 1280, scheme: str = "light") -> None:
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())

    def paper(self) -> str:
        return str(self.page.evaluate("getComputedStyle(document.body).backgroundColor"))

    def overflow(self) -> int:
        return int(self.page.evaluate("document.documentElement.scrollWidth - innerWidth"))


@pytest.mark.parametrize("name", ["report", "hostile", "bare"])
@pytest.mark.parametrize("width", [390, 1280, 1900])
def test_no_error_no_request_and_no_sideways_scrolling(
    browser: Any, pages: dict[str, Path], name: str, width: int
) -> None:
    visit = Visit(browser, pages[name], width=width)
    assert visit.said == []
    assert visit.asked == [pages[name].as_uri()]
    assert visit.overflow() <= 0
    assert visit.page.title() != "owned"
    visit.page.close()


def test_light_dark_and_the_switch_between_them(browser: Any, pages: dict[str, Path]) -> None:
    light, dark = "rgb(255, 255, 255)", "rgb(20, 22, 26)"
    visit = Visit(browser, pages["report"], scheme="dark")
    point = ".chart .wide path[data-words]"
    colour = f"getComputedStyle(document.querySelector('{point}')).stroke"
    before = visit.page.evaluate(colour)
    assert visit.paper() == dark
    visit.page.click("#scheme")
    assert visit.paper() == light
    assert visit.page.evaluate(colour) != before
    visit.page.click("#scheme")
    assert visit.paper() == dark
    visit.page.emulate_media(media="print")
    assert visit.paper() == light
    visit.page.close()


def test_charts_fit_the_window_and_tell_their_figures(browser: Any, pages: dict[str, Path]) -> None:
    visit = Visit(browser, pages["report"], width=390)
    assert not visit.page.is_visible(".chart .wide >> nth=0")
    assert visit.page.is_visible(".chart .narrow >> nth=0")
    visit.page.set_viewport_size({"width": 1280, "height": 900})
    assert visit.page.is_visible(".chart .wide >> nth=0")
    visit.page.hover("#quality_latency .wide path[data-words] >> nth=0")
    assert "E2E p50" in visit.page.inner_text("#tip")
    visit.page.hover("h1")
    assert not visit.page.is_visible("#tip")
    visit.page.close()


def test_one_candidate_can_be_picked_out_of_all_charts(browser: Any, pages: dict[str, Path]) -> None:
    visit = Visit(browser, pages["report"])
    dimmed = (
        "[...document.querySelectorAll('.wide path[data-words]')].filter(e => getComputedStyle(e).opacity < 0.2).length"
    )
    assert visit.page.evaluate(dimmed) == 0
    visit.page.click(".keys button >> nth=2")
    assert visit.page.evaluate(dimmed) > 100
    assert visit.page.get_attribute(".keys button >> nth=2", "aria-pressed") == "true"
    visit.page.click(".keys button >> nth=2")
    assert visit.page.evaluate(dimmed) == 0
    visit.page.close()
