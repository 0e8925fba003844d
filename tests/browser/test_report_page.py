"""The report in a real browser: it fits, it loads nothing, it can be read in light, dark and print."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
from sample_summary import sample, stopped

from adhere.app.report import write_report
from adhere.app.summary import ImproveSummary

ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
LONG = "x" * 3000


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("no chromium on the path")
    with api.sync_playwright() as play:
        opened = play.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield opened
        opened.close()


def hostile() -> ImproveSummary:
    """Long words and markup where models and data may put them."""
    base = sample()
    script = (
        "<script>document.title='owned'</script><img src='http://example.invalid/x' onerror=\"document.title='owned'\">"
    )
    example = msgspec.structs.replace(
        base.examples[0], prompt=script + LONG, base_reply=script + LONG, tuned_reply=LONG
    )
    return msgspec.structs.replace(
        base, why=LONG, model=LONG, command=LONG, folder=LONG, examples=(example,), settings={LONG: {LONG: LONG}}
    )


CASES = {"sample": sample, "stopped": stopped, "hostile": hostile}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("width", [360, 860, 861, 1400])
def test_the_page_fits_the_width_and_asks_for_nothing(browser: Any, tmp_path: Path, case: str, width: int) -> None:
    write_report(CASES[case](), tmp_path / "report.html")
    page = browser.new_page(viewport={"width": width, "height": 800})
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto((tmp_path / "report.html").as_uri())
    wide = page.evaluate("document.documentElement.scrollWidth")
    title = page.title()
    page.close()
    assert wide <= width
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert complaints == []
    assert title.endswith("adhere improve")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast(browser: Any, tmp_path: Path, scheme: str) -> None:
    write_report(sample(), tmp_path / "report.html")
    page = browser.new_page(color_scheme=scheme)
    page.goto((tmp_path / "report.html").as_uri())
    colours = page.evaluate(
        """() => { const paper = getComputedStyle(document.body).backgroundColor;
        return ['h1', '.lead', '.evidence', '.kept', '.harm-text', '.gain-text', 'small', '.reason']
          .map(s => [s, getComputedStyle(document.querySelector(s)).color, paper]) }"""
    )
    page.close()
    for name, ink, paper in colours:
        assert contrast(ink, paper) >= 4.5, (name, ink, paper)
    assert (luminance(colours[0][2]) < 0.1) == (scheme == "dark")


def luminance(colour: str) -> float:
    """Relative luminance of `rgb(r, g, b)`, as WCAG 2 defines it."""
    parts = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def test_dots_stand_where_the_numbers_are(browser: Any, tmp_path: Path) -> None:
    write_report(sample(), tmp_path / "report.html")
    page = browser.new_page(viewport={"width": 1400, "height": 800})
    page.goto((tmp_path / "report.html").as_uri())
    left, wide, dot = page.evaluate(
        """() => { const svg = document.querySelector('table.results td.plot svg');
        const box = svg.getBoundingClientRect(), dot = svg.querySelector('.tuned').getBoundingClientRect();
        return [box.left, box.width, dot.left + dot.width / 2] }"""
    )
    axis = page.evaluate(
        """() => { const box = document.querySelector('table.results svg.axis').getBoundingClientRect();
        return [box.left, box.width] }"""
    )
    page.close()
    assert (dot - left) / wide == pytest.approx(0.611, abs=0.005)
    assert axis == pytest.approx([left, wide], abs=1)  # the head's scale is the scale of the cells


def test_dark_readers_print_on_white(browser: Any, tmp_path: Path) -> None:
    write_report(sample(), tmp_path / "report.html")
    page = browser.new_page(color_scheme="dark")
    page.goto((tmp_path / "report.html").as_uri())
    page.emulate_media(media="print", color_scheme="dark")
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    pages = page.pdf(format="A4").count(b"/Type /Page\n")
    page.close()
    assert paper == "rgb(255, 255, 255)"
    assert pages <= 8
