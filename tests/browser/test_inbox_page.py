"""The inbox page of ``mail-contract serve`` in Chromium: what it shows, and how it is used."""

from __future__ import annotations

import json
import shutil
import time
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect
from tests.browser.chromium import Visit, require_chromium
from tests.browser.serving import Serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Locator, Page, Route

ROWS = 100  # in the list at once
expect.set_options(timeout=10_000)


def mail(to: str = "foo@example.com", type: str = "SignIn", **payload: object) -> dict[str, object]:
    return {"to": to, "type": type, "payload": payload}


def row(page: Page, text: str) -> Locator:
    return page.locator(".row", has_text=text)


def open_message(page: Page, text: str) -> Locator:
    """Open a message of the list and return its detail."""
    row(page, text).get_by_role("link").first.click()
    expect(page.locator("#detail h3").first).to_be_visible()
    return page.locator("#detail")


def lines(page: Page) -> list[str]:
    """Return the lines of the JSON in the detail, and each finding as its rule alone."""
    found: list[str] = page.locator(".json > *").evaluate_all(
        "all => all.map(one => one.matches('.finding') ? '! ' + one.querySelector('b').textContent"
        " : one.textContent)"
    )
    return found


def deep(levels: int) -> object:
    """Return a value that nests so many levels."""
    value: object = []
    for _ in range(levels):
        value = {"in": value}
    return value


def scrolls_sideways(page: Page) -> bool:
    """Return whether the page, or a scrolling part of it, scrolls sideways."""
    scrolls: bool = page.evaluate(
        "[document.documentElement, ...document.querySelectorAll('main, #list, #detail, pre, .json')]"
        ".some(one => one.scrollWidth > one.clientWidth)"
    )
    return scrolls


@pytest.fixture
def visit(browser: Browser, serving: Serving) -> Iterator[Visit]:
    with Visit(browser, serving.url) as visit:
        yield visit


@pytest.fixture
def page(visit: Visit) -> Page:
    return visit.page


# The list.


def test_an_empty_inbox_shows_the_next_step(visit: Visit, serving: Serving) -> None:
    page = visit.page
    expect(page.get_by_role("heading", name="No mail yet")).to_be_visible()
    page.get_by_role("button", name="Copy the URL").click()
    expect(page.locator("#live")).to_have_text("Copied the URL")
    assert visit.clipboard() == serving.url
    serving.post(mail())
    expect(page.locator(".row")).to_have_count(1)
    expect(page.locator("#empty")).to_be_hidden()


def test_deliveries_appear_live_the_newest_on_top(visit: Visit, serving: Serving) -> None:
    page = visit.page
    serving.post(mail(code="042137"))
    expect(row(page, "foo@example.com")).to_contain_text("SignIn")
    expect(row(page, "foo@example.com").locator(".code bdi")).to_have_text("042137")
    expect(row(page, "foo@example.com")).to_contain_text("Accepted")
    expect(page.locator("#live")).to_have_text("SignIn to foo@example.com Accepted")
    link = "https://app.example.com/accept?token=1"
    serving.post(mail("bar@example.com", "OrganizationInvitation", link=link))
    expect(page.locator(".row").first).to_contain_text(link)
    anchor = page.get_by_role("link", name="Open the link in a new tab")
    assert [anchor.get_attribute(name) for name in ("href", "rel", "target")] == [
        link,
        "noopener noreferrer",
        "_blank",
    ]
    row(page, "bar@").get_by_role("button", name="Copy link").click()
    expect(page.locator("#live")).to_have_text("Copied link")
    assert visit.clipboard() == link


def test_a_refused_delivery_is_shown_as_refused(page: Page, serving: Serving) -> None:
    serving.post(mail(code=42137, link=None))
    expect(row(page, "foo@")).to_contain_text("Refused, 400")
    expect(row(page, "foo@").locator(".why")).to_have_text("code is absent or a string. And 1 more.")
    serving.post(mail("bar@example.com"), **{"Content-Type": "text/plain"})
    expect(row(page, "Refused, 415")).to_have_count(1)
    serving.post(b'{"to": "twice@example.com", "type": "SignIn", "type": "SignIn", "payload": {}}')
    expect(row(page, "twice@")).to_contain_text("Accepted, with a remark")


def test_a_scripted_response_is_shown_beside_the_verdict(page: Page, serving: Serving) -> None:
    serving.reply(reply="response", status=503)
    serving.post(mail(code="042137"))
    expect(row(page, "foo@")).to_contain_text("Accepted")
    expect(row(page, "foo@").locator(".response")).to_contain_text("503")


def test_the_filter(page: Page, serving: Serving) -> None:
    serving.post(
        mail("Ann@example.com"), mail("bob@example.com", "Register"), mail("bob@example.com", code=1)
    )
    expect(page.locator(".row")).to_have_count(3)
    recipient = page.get_by_label("Show only recipients that contain")
    recipient.fill("ann@")
    expect(page.locator(".to")).to_have_text(["Ann@example.com"])
    serving.post(mail("joanna@example.com"), mail("ann@mail.test"))
    expect(page.locator(".to")).to_have_text(["ann@mail.test", "Ann@example.com"])
    recipient.fill("bob@")
    page.get_by_label("Show only the template type").select_option("Register")
    expect(page.locator(".row")).to_have_count(1)
    page.get_by_label("Invalid only").check()
    expect(page.get_by_text("No message matches the filter.")).to_be_visible()
    page.get_by_label("Show only the template type").select_option("")
    expect(page.locator(".row")).to_have_count(1)
    expect(page.locator(".row")).to_contain_text("Refused")


def test_clearing_asks_first(page: Page, serving: Serving) -> None:
    serving.post(mail(), mail())
    expect(page.locator(".row")).to_have_count(2)
    page.get_by_role("button", name="Clear").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("alertdialog")).to_be_visible()
    page.keyboard.press("Enter")  # the button to cancel has the focus
    expect(page.get_by_role("alertdialog")).to_be_hidden()
    expect(page.locator(".row")).to_have_count(2)
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="No mail yet")).to_be_visible()
    serving.post(mail("next@example.com"))
    expect(page.locator(".to")).to_have_text(["next@example.com"])


def test_a_message_deleted_elsewhere_disappears(page: Page, serving: Serving) -> None:
    serving.post(mail("a@example.com"), mail("b@example.com"))
    expect(page.locator(".row")).to_have_count(2)
    serving.delete("/api/messages?to=a@example.com")
    expect(page.locator(".to")).to_have_text(["b@example.com"])


# The detail.


def test_the_detail_shows_the_variables_and_the_raw_request(page: Page, serving: Serving) -> None:
    body = json.dumps(mail(code="042137", locale="en", user={"name": None, "tags": ["a", {}]})).encode()
    serving.post(body, path="/hook?x=1", **{"x-ODD": "Case kept"})
    detail = open_message(page, "foo@example.com")
    expect(detail.get_by_role("heading", level=2)).to_be_focused()
    expect(detail.locator("tr")).to_have_text(
        ["code042137", "localeen", "user.namenull", "user.tags[0]a", "user.tags[1]{}"]
    )
    raw = detail.locator("pre")
    expect(raw).to_contain_text("POST /hook?x=1\n")
    expect(raw).to_contain_text("x-ODD: Case kept\n")
    expect(raw).to_contain_text(body.decode())
    with page.expect_download() as download:
        detail.get_by_role("link", name="Save the exact bytes").click()
    assert download.value.path().read_bytes() == body


def test_every_finding_is_shown_at_its_place(page: Page, serving: Serving) -> None:
    serving.post({"to": "foo@example.com", "payload": {"code": 1, "n": 5, "link": None}, "x": [1]})
    open_message(page, "foo@example.com")
    assert lines(page) == [
        "{",
        "! message/guard/type",
        '  "to": "foo@example.com",',
        '  "payload": {',
        '    "code": 1,',
        "! message/guard/code",
        '    "n": 5,',
        '    "link": null',
        "! message/guard/link",
        "  },",
        '  "x": [',
        "    1",
        "  ]",
        "}",
    ]
    code = page.locator(".finding", has_text="message/guard/code")
    for words in ("MUST", "/payload/code, layer guard", "a string", "a number (masked)", "in Logto"):
        expect(code).to_contain_text(words)
    page.locator("#detail").get_by_role("button", name="message/guard/link").click()
    expect(page.locator(".finding", has_text="message/guard/link")).to_be_focused()


def test_a_name_that_a_pointer_escapes_has_its_finding(browser: Browser, tmp_path: Path) -> None:
    with Serving(tmp_path, "--revision", "1.22") as serving, Visit(browser, serving.url) as visit:
        serving.post({"to": "foo@example.com", "type": "SignIn", "payload": {"a/b~c": 5}})
        open_message(visit.page, "foo@example.com")
        assert lines(visit.page)[4:6] == ['    "a/b~c": 5', "! message/guard/values"]


def test_a_finding_without_a_place_is_shown_first(page: Page, serving: Serving) -> None:
    def moved(route: Route) -> None:
        response = route.fetch()
        detail = response.json()
        detail["findings"][0]["pointer"] = "/not/there"
        route.fulfill(response=response, json=detail)

    serving.post(mail(code=1))
    page.route("**/api/messages/1", moved)
    open_message(page, "foo@example.com")
    assert lines(page)[:2] == ["! message/guard/code", "{"]


def test_a_message_that_fails_another_layer_is_accepted_but_invalid(browser: Browser, tmp_path: Path) -> None:
    with Serving(tmp_path, "--layer", "emitted") as serving, Visit(browser, serving.url) as visit:
        serving.post(mail(), mail("bar@example.com", odd={}))
        visit.page.get_by_label("Invalid only").check()
        expect(row(visit.page, "bar@")).to_contain_text("Accepted, but invalid")


def test_findings_about_the_text_and_the_request(page: Page, serving: Serving) -> None:
    serving.post(b'{"to": ')
    open_message(page, "no recipient")
    expect(page.locator("section", has_text="There is no JSON to show").locator(".finding")).to_contain_text(
        "message/text/json"
    )
    page.keyboard.press("Escape")
    serving.post(mail("plain@example.com"), **{"Content-Type": "text/plain"})
    open_message(page, "Refused, 415")
    request = page.locator("#detail section").last
    expect(request.locator(".finding")).to_contain_text("sender/request/content-type")
    assert request.evaluate("one => [...one.children].map(child => child.localName)") == [
        "h3",
        "div",
        "pre",
        "p",
    ]


def test_a_finding_is_shown_however_deep_in_a_long_message(page: Page, serving: Serving) -> None:
    serving.post(mail(before=["a"] * 5000, code=1, after=["a"] * 5000))
    open_message(page, "foo@example.com")
    shown = lines(page)
    assert shown.index('    "code": 1,') == shown.index("! message/guard/code") - 1
    assert len([line for line in shown if line.endswith("more lines")]) == 2
    assert len(shown) < 2100


# Use.


def test_from_arrival_to_the_copied_code_with_the_keyboard_alone(visit: Visit, serving: Serving) -> None:
    page = visit.page
    serving.post(mail("old@example.com", code="111111"), mail("new@example.com", code="222222"))
    expect(page.locator(".row")).to_have_count(2)
    page.keyboard.press("c")
    expect(page.locator("#live")).to_have_text("Copied code")
    assert visit.clipboard() == "222222"
    page.keyboard.press("j")
    expect(row(page, "new@").locator(".to")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("c")
    expect(row(page, "old@").get_by_role("button")).to_have_text("Copied")
    assert visit.clipboard() == "111111"
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="old@example.com")).to_be_focused()
    page.keyboard.press("k")
    expect(page.get_by_role("heading", name="new@example.com")).to_be_focused()
    page.keyboard.press("c")
    expect(page.locator("#detail .copy")).to_have_text("Copied")
    assert visit.clipboard() == "222222"
    page.keyboard.press("Escape")
    expect(page.locator("#detail")).to_be_hidden()
    expect(row(page, "new@").locator(".to")).to_be_focused()
    page.keyboard.press("/")
    page.keyboard.type("old?c")
    expect(page.get_by_text("No message matches the filter.")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#recipient")).not_to_be_focused()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_hidden()


def test_the_focus_is_visible_on_every_control(page: Page, serving: Serving) -> None:
    serving.post(mail(code="042137", link="https://app.example.com/"))
    expect(page.locator(".row")).to_have_count(1)
    seen = []
    for _ in range(10):
        page.keyboard.press("Tab")
        name, outline = page.evaluate(
            "[document.activeElement].flatMap(one => [one.ariaLabel ?? one.textContent,"
            " getComputedStyle(one.matches('.to') ? one.closest('.row') : one).outlineStyle])"
        )
        seen.append(name)
        assert outline == "solid", name
    assert seen[2:] == [
        "Invalid only",
        "Clear",
        "Dark",
        "Keyboard shortcuts",
        "foo@example.com",
        "Copy code",
        "Open the link in a new tab",
        "Copy link",
    ]


def test_a_code_is_copied_without_the_clipboard_api(browser: Browser, serving: Serving) -> None:
    serving.post(mail(code="042137"))
    without = "Object.defineProperty(navigator, 'clipboard', {value: undefined});"
    with Visit(browser, serving.url, without) as visit:
        button = row(visit.page, "foo@").get_by_role("button")
        button.click()
        expect(button).to_have_text("Copied")
        expect(button).to_be_focused()
        visit.page.keyboard.press("/")
        visit.page.keyboard.press("Control+v")
        expect(visit.page.locator("#recipient")).to_have_value("042137")


def test_an_address_with_a_message_opens_it_and_back_closes_it(visit: Visit, serving: Serving) -> None:
    page = visit.page
    serving.post(mail())
    open_message(page, "foo@example.com")
    page.reload()
    expect(page.get_by_role("heading", name="foo@example.com")).to_be_visible()
    page.go_back()
    expect(page.locator("#detail")).to_be_hidden()
    page.goto(f"{serving.url}#999")
    expect(page.locator("#detail h2")).to_contain_text("999")
    visit.problems.clear()  # the browser reports the status 404


def test_dark_and_light_are_remembered(browser: Browser, serving: Serving) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    colours = {}
    for scheme in ("dark", "light"):
        with Visit(browser, serving.url, color_scheme=scheme) as visit:
            theme = visit.page.get_by_role("button", name="Dark")
            expect(theme).to_have_attribute("aria-pressed", str(scheme == "dark").lower())
            colours[scheme] = visit.page.evaluate(ground)
    assert colours["dark"] != colours["light"]
    with Visit(browser, serving.url, color_scheme="light") as visit:
        visit.page.get_by_role("button", name="Dark").click()
        assert visit.page.evaluate(ground) == colours["dark"]
        visit.page.reload()
        assert visit.page.evaluate(ground) == colours["dark"]
        visit.page.get_by_role("button", name="Dark").click()
        assert visit.page.evaluate(ground) == colours["light"]


CONTRAST = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
  const rgb = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return canvas.getImageData(0, 0, 1, 1).data;
  };
  const light = ([red, green, blue]) => [red, green, blue].map((part) => part / 255)
    .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
  const ground = (one) => {
    const colour = rgb(getComputedStyle(one).backgroundColor);
    return colour[3] === 255 || !one.parentElement ? colour : ground(one.parentElement);
  };
  const low = [];
  for (const one of document.querySelectorAll('body *')) {
    const text = [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!text || !one.checkVisibility()) continue;
    const pair = [light(rgb(getComputedStyle(one).color)), light(ground(one))].sort((a, b) => b - a);
    const contrast = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (contrast < 4.5) low.push(`${one.className} ${one.textContent.slice(0, 40)}: ${contrast.toFixed(2)}`);
  }
  return low;
}"""


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_text_has_the_contrast_of_wcag_aa(browser: Browser, serving: Serving, scheme: str) -> None:
    with Visit(browser, serving.url, color_scheme=scheme) as visit:
        page = visit.page
        expect(page.locator("#empty")).to_be_visible()
        assert page.evaluate(CONTRAST) == []
        serving.post(
            b'{"to": "twice@example.com", "to": "twice@example.com", "type": "SignIn", "payload": {}}'
        )
        serving.post(mail(code="04\x002137", link="https://app.example.com/", user={"name": None}))
        serving.post(mail("bad@example.com", code=1))
        for name in ("twice@", "foo@", "bad@"):
            open_message(page, name)
            assert page.evaluate(CONTRAST) == []


@pytest.mark.parametrize("wide", [360, 768, 1280])
def test_nothing_scrolls_sideways(browser: Browser, serving: Serving, wide: int) -> None:
    with Visit(browser, serving.url, wide=wide) as visit:
        page = visit.page
        expect(page.locator("#empty")).to_be_visible()
        assert not scrolls_sideways(page)
        serving.post(
            mail("a" * 64 + "@example.com", code="9" * 300, link="https://app.example.com/" + "x" * 300)
        )
        serving.post(
            mail(code="042137", link="https://app.example.com/", user={"n" * 300: "v" * 3000}, deep=deep(490))
        )
        expect(page.locator(".row")).to_have_count(2)
        assert not scrolls_sideways(page)
        for name in ("foo@", "aaa@"):
            if page.locator("#detail").is_visible():
                page.keyboard.press("Escape")
            open_message(page, name)
            assert page.locator("#list").is_visible() is (wide == 1280)
            assert not scrolls_sideways(page)


# Hostile content.

MARKUP = '"><img src=x onerror="window.ran=1">'
SCRIPT = "</script><script>window.ran=1</script>"
NO_LINKS = (
    "javascript:window.ran=1",
    " javascript:window.ran=1",
    "JaVaScRiPt:window.ran=1",
    "java\nscript:window.ran=1",
    "data:text/html,<script>window.ran=1</script>",
    "//example.com/",
    "file:///etc/passwd",
    "https://",
    MARKUP,
)
ODD = (
    ("\u202e", "U+202E"),
    ("\u0000", "U+0000"),
    ("\u2028", "U+2028"),
    ("\ud800", "U+D800"),
    ("\u0085", "U+0085"),
    ("\ufeff", "U+FEFF"),
    ("\u200d" * 7, "U+200D \u00d77"),
)


def test_hostile_content_is_shown_as_text(browser: Browser, serving: Serving) -> None:
    for link in NO_LINKS:
        serving.post(mail(SCRIPT + MARKUP, code=MARKUP, link=link, **{MARKUP: SCRIPT}))
    serving.post({"to": MARKUP, "type": SCRIPT, "payload": {"__proto__": {"to": 1}}}, path="/" + "%3Cimg%3E")
    serving.post(mail(link='https://app.example.com/"onmouseover="window.ran=1'), **{"X-Name": MARKUP})
    with Visit(browser, serving.url) as visit:
        page = visit.page
        expect(page.locator(".row")).to_have_count(len(NO_LINKS) + 2)
        assert page.locator(".to").all_text_contents()[1:] == [MARKUP] + [SCRIPT + MARKUP] * len(NO_LINKS)
        assert page.locator("#rows .code bdi").all_text_contents() == [MARKUP] * len(NO_LINKS)
        assert page.get_by_role("option").all_text_contents() == ["All types", "SignIn", SCRIPT]
        for index in range(len(NO_LINKS) + 2):
            page.locator(".row .to").nth(index).click()
            expect(page.locator("#detail h3")).to_have_count(3)
            assert page.locator("img, script, iframe, [onerror], [onmouseover]").count() == 2
            page.keyboard.press("Escape")
        hrefs = page.locator("#rows .link a").evaluate_all("all => all.map(one => one.getAttribute('href'))")
        assert hrefs == ["https://app.example.com/%22onmouseover=%22window.ran=1"]
        assert page.evaluate("window.ran") is None


def test_invisible_characters_are_named(page: Page, serving: Serving) -> None:
    serving.post(mail(code="".join(f"{odd}1" for odd, _ in ODD), user={"name": "👩‍👩‍👧 \u202eevil\n"}))
    expect(page.locator(".code .odd")).to_have_text([name for _, name in ODD])
    detail = open_message(page, "foo@example.com")
    expect(detail.locator("tr", has_text="user.name").locator(".odd")).to_have_text(["U+202E", "U+000A"])
    expect(detail.locator("td").last).to_contain_text("👩‍👩‍👧")


def test_spaces_and_the_number_of_dropped_messages_are_shown(browser: Browser, tmp_path: Path) -> None:
    with Serving(tmp_path, "--max-messages", "2") as serving:
        serving.post(mail(), mail(), mail(code="12"), mail(code="1   2"))
        with Visit(browser, serving.url) as visit:
            expect(visit.page.locator("#end")).to_have_text(
                "Older messages dropped, since the inbox is full: 2."
            )
            wide, narrow = visit.page.locator(".code bdi").evaluate_all(
                "all => all.map(one => one.offsetWidth)"
            )
            assert wide > 2 * narrow


def test_long_values_are_truncated_visibly(browser: Browser, serving: Serving) -> None:
    long = "x" * 100_000
    serving.post(mail(long, long, code=long, link="https://app.example.com/" + long, **{long: long}))
    with Visit(browser, serving.url, wide=360) as visit:
        page = visit.page
        open_message(page, "xxx")
        assert not scrolls_sideways(page)
        expect(page.locator("td").last).to_contain_text("98000 more characters")
        assert page.evaluate("document.body.textContent.length") < 120_000


def test_blocked_content_is_detected(browser: Browser, serving: Serving) -> None:
    with Visit(browser, serving.url) as visit:
        visit.page.evaluate(
            "markup => { document.querySelector('main').innerHTML = markup }",
            MARKUP + '<img src="https://app.example.com/">',
        )
        deadline = time.monotonic() + 10
        while visit.page.evaluate("violations.length") < 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert visit.page.evaluate("window.ran") is None
        visit.page.evaluate("violations.length = 0")
        assert [problem for problem in visit.problems if "Content Security Policy" in problem]
        visit.problems.clear()


# Restarts, and large inboxes.


def test_it_reconnects_to_a_restarted_server(visit: Visit, serving: Serving) -> None:
    page = visit.page
    serving.post(mail("before@example.com", code="111111"), mail("before@example.com"))
    expect(page.locator(".row")).to_have_count(2)
    serving.stop()
    expect(page.locator("#connection")).to_have_text("Not connected, trying again")
    serving.start()
    expect(page.locator("#connection")).to_have_text("Live")
    serving.post(mail("after@example.com", code="222222"))
    expect(page.locator(".to")).to_have_text(["after@example.com"])
    visit.problems.clear()  # the browser reports each failed attempt


def test_a_message_that_arrives_during_loading_is_listed_once(browser: Browser, serving: Serving) -> None:
    def late(route: Route) -> None:
        serving.post(mail("last@example.com"))
        route.continue_()

    serving.post(*[mail()] * ROWS)
    visit = Visit(browser, serving.url)
    visit.page.route("**/api/messages?*", late)
    with visit:
        expect(visit.page.locator(".to").first).to_have_text("last@example.com")
        expect(visit.page.get_by_role("button", name="Show older")).to_be_visible()
        expect(visit.page.locator(".row")).to_have_count(ROWS)


def test_thousands_of_arrivals_are_shown_live(page: Page, serving: Serving) -> None:
    serving.post(*(mail(f"user{number}@example.com", code=f"{number:06}") for number in range(3000)))
    expect(page.locator(".to").first).to_have_text("user2999@example.com")
    expect(page.locator(".row")).to_have_count(ROWS)
    assert page.evaluate("document.querySelectorAll('*').length") < 30 * ROWS
    start = time.monotonic()
    page.get_by_label("Show only recipients that contain").fill("user1234@")
    expect(page.locator(".to")).to_have_text(["user1234@example.com"])
    assert time.monotonic() - start < 5


def test_paging_to_older_messages_works_across_gaps(browser: Browser, serving: Serving) -> None:
    serving.post(*(mail("old@example.com", code=f"{number:06}") for number in range(150)))
    serving.post(*[mail("gone@example.com")] * 2500)
    serving.post(*(mail("new@example.com", code=f"{number:06}") for number in range(250)))
    serving.delete("/api/messages?to=gone@example.com")
    with Visit(browser, serving.url) as visit:
        page = visit.page
        codes = page.locator(".code bdi")
        expect(codes).to_have_count(ROWS)
        seen = codes.all_text_contents()
        for _ in range(3):
            page.get_by_role("button", name="Show older").click()
            expect(codes.first).not_to_have_text(seen[-ROWS])
            expect(codes).to_have_count(ROWS)
            seen += codes.all_text_contents()
        assert seen == [f"{number:06}" for number in [*range(249, -1, -1), *range(149, -1, -1)]]
        expect(page.get_by_role("button", name="Show older")).to_be_hidden()
        page.get_by_role("button", name="Back to newer").click()
        expect(codes.first).to_have_text("000049")
        page.get_by_label("Show only recipients that contain").fill("OLD@")
        expect(codes.first).to_have_text("000149")


# Without Chromium.


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_a_missing_chromium_skips_and_in_ci_fails(
    ci: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(outcome, match="Chromium, which is not installed: apt-get install chromium"):
        require_chromium()
