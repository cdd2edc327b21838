"""JupyterLab in Debian's Chromium: runs the cells of a notebook, looks at the live view, and prints what it saw as JSON.

It is a process of its own, so that the browser's driver and pytest do not share an event loop and its warnings.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from playwright.sync_api import Page, sync_playwright

VIEW, PACKET, DECODED = "[data-vnet-live]", "[data-packet]", "[data-vnet-decoded]"


def ticks(page: Page) -> int:
    return int(page.get_attribute(VIEW, "data-vnet-ticks") or 0)


def frames(page: Page) -> int:
    """Return how many frames the plugin has seen, as the page says."""
    row = page.locator("table[aria-label=plugins] tbody tr", has_text="count on ")
    return int(row.locator("td").nth(3).inner_text())


def click(page: Page, text: str) -> str:
    """Click on the last packet whose row has this text, and return what is shown of it."""
    page.wait_for_selector(f"{PACKET}:has-text('{text}')", timeout=60_000)
    # The row keeps its number while others are added below it; the mouse would chase it.
    page.locator(PACKET, has_text=text).last.dispatch_event("click")
    page.wait_for_selector(f"{DECODED} details", timeout=30_000)
    return page.locator(DECODED).text_content() or ""


def memory(pid: int) -> dict[str, int]:
    with open(f"/proc/{pid}/status") as status:
        resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    return {"kB": resident, "fds": len(os.listdir(f"/proc/{pid}/fd"))}


def look(page: Page, url: str, pid_file: str, seconds: float, shot: str) -> dict[str, Any]:
    saw: dict[str, Any] = {}
    page.goto(url)
    page.wait_for_selector("text=(ipykernel) | Idle", timeout=120_000)
    page.locator(".jp-Cell .cm-content").first.click()
    page.keyboard.press("Shift+Enter")
    page.wait_for_selector(VIEW, timeout=60_000)
    page.keyboard.press("Shift+Enter")
    page.wait_for_selector(PACKET, timeout=60_000)
    with open(pid_file) as found:
        pid = int(found.read())
    begun = time.monotonic()
    first = (ticks(page), frames(page))
    # What was got was sent, too; and what is sent from h3 an access list drops.
    saw["decoded"] = click(page, "h2:eth0 got IP 10.0.0.1 > 10.0.0.2")
    saw["dropped"] = click(page, "h3:eth0 sent IP 10.0.0.3 > 10.0.0.2")
    page.wait_for_function(
        f"Number(document.querySelector('{VIEW}').dataset.vnetTicks) > {first[0] + 20}", timeout=60_000
    )
    saw["blocked"] = page.locator(".jp-InputPrompt").nth(1).inner_text()
    saw["moved"] = [first, (ticks(page), frames(page))]
    saw["svg"] = page.locator(f"{VIEW} svg path.link").count()
    page.screenshot(path=shot, full_page=True)
    time.sleep(max(0.0, seconds / 4 - (time.monotonic() - begun)))
    count = "document.querySelectorAll('*').length"
    before, start, at = memory(pid), time.monotonic(), ticks(page)
    nodes = page.evaluate(count)
    time.sleep(max(0.0, seconds - (time.monotonic() - begun)))
    passed = time.monotonic() - start
    saw["memory"] = [before, memory(pid)]
    saw["nodes"] = [nodes, page.evaluate(count)]
    saw["hertz"] = (ticks(page) - at) / passed if passed > 1 else None
    page.wait_for_function(
        "document.querySelectorAll('.jp-InputPrompt')[1].innerText !== '[*]:'", timeout=1000 * (seconds + 60)
    )
    # The last cell closes the network.
    page.keyboard.press("Shift+Enter")
    page.wait_for_selector(f"{VIEW} >> text=ended", timeout=60_000)
    saw["hacked"] = page.evaluate("window.hacked === undefined ? null : String(window.hacked)")
    return saw


def main() -> None:
    url, pid_file, seconds, chromium, shot = sys.argv[1:]
    errors: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"])
        page = browser.new_page(viewport={"width": 1300, "height": 1100})
        page.on("pageerror", lambda error: errors.append(f"page: {error}"))
        page.on("console", lambda said: errors.append(f"console: {said.text}") if said.type == "error" else None)
        try:
            saw = look(page, url, pid_file, float(seconds), shot)
        except Exception:
            page.screenshot(path=shot, full_page=True)
            print(errors, file=sys.stderr)
            raise
        browser.close()
    print(json.dumps(saw | {"errors": errors}))


if __name__ == "__main__":
    main()
