"""The chat page in a real browser: two people, a server that dies, and bad input."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.chromium import PATIENCE_MS, Person, needs_chromium, open_chromium
from tests.cli.process import Dev

pytestmark = [pytest.mark.browser, needs_chromium, pytest.mark.deadline(120)]

CHAT = Path(__file__).parents[2] / "examples" / "chat.py"
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_chromium() as browser:
        yield browser


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Dev]:
    with Dev(tmp_path, str(CHAT), "--no-reload") as dev:
        yield dev


def page_of(dev: Dev, room: str = "lobby") -> str:
    return f"{dev.url}/actors/chat_room/{room}/http/"


def come_in(page: Page, name: str) -> None:
    page.get_by_label("Your name").fill(name)
    page.get_by_role("button", name="Enter").click()
    expect(page.get_by_role("status")).to_have_text("Connected")


def say(page: Page, text: str) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Enter")


def expect_messages(page: Page, *texts: str) -> None:
    expect(page.locator(".message .text")).to_have_text(list(texts))


def expect_here(page: Page, *names: str) -> None:
    expect(page.locator(".person-name")).to_have_text(list(names))


def test_two_people_talk(browser: Browser, dev: Dev) -> None:
    ann, bob = Person(browser, page_of(dev)), Person(browser, page_of(dev))
    come_in(ann.page, "Ann")
    expect(ann.page.get_by_text("It is quiet here.")).to_be_visible()
    come_in(bob.page, "Bob")
    for person in (ann, bob):
        expect_here(person.page, "Ann", "Bob")
    expect(ann.page.locator(".news")).to_have_text("Bob came in")

    say(ann.page, "Hello Bob")
    expect_messages(bob.page, "Hello Bob")
    say(bob.page, "Hello Ann, <b>how</b> are you?")
    for person in (ann, bob):
        expect_messages(person.page, "Hello Bob", "Hello Ann, <b>how</b> are you?")
    expect(ann.page.locator(".mine .text")).to_have_text(["Hello Bob"])
    expect(ann.page.get_by_text("It is quiet here.")).to_be_hidden()

    bob.page.reload()
    expect(bob.page.get_by_role("status")).to_have_text("Connected")
    expect_messages(bob.page, "Hello Bob", "Hello Ann, <b>how</b> are you?")

    bob.leave()
    expect_here(ann.page, "Ann")
    expect(ann.page.locator(".news").last).to_have_text("Bob left")
    assert ann.complaints == bob.complaints == []
    ann.leave()


def test_rooms_are_apart(browser: Browser, dev: Dev) -> None:
    here, there = Person(browser, page_of(dev)), Person(browser, page_of(dev, "back%20room"))
    come_in(here.page, "Ann")
    come_in(there.page, "Bob")
    expect(there.page.get_by_role("heading", name="back room")).to_be_visible()
    say(here.page, "Anybody?")
    expect_messages(here.page, "Anybody?")
    expect_here(there.page, "Bob")
    expect_messages(there.page)
    for person in (here, there):
        assert person.complaints == []
        person.leave()


def test_a_server_that_is_killed_and_comes_back(browser: Browser, dev: Dev) -> None:
    ann, bob = Person(browser, page_of(dev)), Person(browser, page_of(dev), is_on_phone=True)
    come_in(ann.page, "Ann")
    come_in(bob.page, "Bob")
    for number in range(3):
        say(ann.page, f"message {number}")
    said = [f"message {number}" for number in range(3)]
    expect_messages(bob.page, *said)

    dev.kill()
    expect(ann.page.get_by_role("status")).to_have_text("Connection lost. Trying again …")
    expect(ann.page.get_by_role("button", name="Send")).to_be_disabled()
    say(ann.page, "typed meanwhile")
    expect(ann.page.get_by_label("Message", exact=True)).to_have_value("typed meanwhile")
    dev.start()
    for person in (ann, bob):
        expect(person.page.get_by_role("status")).to_have_text("Connected")
        expect_messages(person.page, *said)
    expect_here(ann.page, *_names_in_any_order(ann.page, "Ann", "Bob"))
    ann.page.keyboard.press("Enter")
    expect_messages(bob.page, *said, "typed meanwhile")
    expect_messages(ann.page, *said, "typed meanwhile")

    late = Person(browser, page_of(dev))
    come_in(late.page, "Late")
    expect_messages(late.page, *said, "typed meanwhile")
    assert late.complaints == []
    for person in (ann, bob):
        assert [line for line in person.complaints if "WebSocket connection to" not in line] == []
    for person in (ann, bob, late):
        person.leave()


def test_bad_input_is_refused_politely(browser: Browser, dev: Dev) -> None:
    ann = Person(browser, page_of(dev))
    page = ann.page
    page.get_by_label("Your name").fill("x" * 40)
    page.get_by_role("button", name="Enter").click()
    expect(page.get_by_role("alert")).to_have_text("A name has at most 32 characters.")
    expect(page.get_by_label("Your name")).to_be_focused()
    come_in(page, "  Ann   Lee ")
    expect_here(page, "Ann Lee")

    say(page, "   ")
    say(page, "long " * 500)
    expect(page.get_by_role("alert")).to_have_text("A message has at most 2,000 characters.")
    expect(page.get_by_text("499 characters too many")).to_be_visible()
    assert page.get_by_label("Message", exact=True).input_value().startswith("long long")
    say(page, "short")
    expect_messages(page, "short")
    expect(page.get_by_role("alert")).to_be_hidden()
    assert ann.complaints == []
    ann.leave()


def test_a_name_can_be_changed(browser: Browser, dev: Dev) -> None:
    ann, bob = Person(browser, page_of(dev)), Person(browser, page_of(dev))
    come_in(ann.page, "Ann")
    come_in(bob.page, "Bob")
    ann.page.get_by_role("button", name="Change my name").click()
    come_in(ann.page, "Anna")
    say(ann.page, "It is me")
    expect_here(bob.page, "Bob", "Anna")
    expect(bob.page.locator(".message .head b")).to_have_text(["Anna"])
    assert ann.complaints == bob.complaints == []
    for person in (ann, bob):
        person.leave()


def _names_in_any_order(page: Page, *names: str) -> list[str]:
    expect(page.locator(".person-name")).to_have_count(len(names))
    found = page.locator(".person-name").all_text_contents()
    return found if sorted(found) == sorted(names) else list(names)
