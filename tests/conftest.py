"""The browser that tests of pages share. Nothing here is imported before a test asks for it."""

import os
import shutil

import pytest

NO_BROWSER = "no Chromium found: install it with `sudo apt-get install chromium`, or set CHROMIUM to its path"


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium. Where there is none the test is skipped; with COURSE_CI=1 it fails."""
    names = (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    path = next((found for name in names if name and (found := shutil.which(name))), None)
    if path is None:
        (pytest.fail if os.environ.get("COURSE_CI") == "1" else pytest.skip)(NO_BROWSER)
    from playwright.sync_api import sync_playwright

    quiet = ["--disable-background-networking", "--no-first-run", "--disable-component-update", "--disable-sync"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu", *quiet])
        yield chromium
        chromium.close()


@pytest.fixture
def open_offline(browser):
    """A function that opens a new page with the network cable out; its arguments are those of `new_context`.

    `page.problems` lists what a reader without a network would miss: requests that failed or went anywhere but to
    the disk, and errors in the console.
    """
    contexts = []

    def open_page(**options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, "offline": True} | options)
        contexts.append(context)
        page = context.new_page()
        page.problems = []

        def local_only(route):
            if route.request.url.startswith(("file:", "data:", "blob:")):
                route.continue_()
            else:
                page.problems.append(f"request to {route.request.url[:200]}")
                route.abort()

        context.route("**/*", local_only)
        page.on("requestfailed", lambda request: page.problems.append(f"request failed: {request.url[:200]}"))
        page.on("pageerror", lambda error: page.problems.append(f"error in the page: {error}"))
        page.on("console", lambda m: page.problems.append(f"console: {m.text}") if m.type == "error" else None)
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def offline_page(open_offline):
    """A page of 1280 × 900 with the network cable out; see `open_offline` for `page.problems`."""
    return open_offline()
