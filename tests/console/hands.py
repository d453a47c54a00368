"""The two ways in which people use a page: with a mouse, and with the keyboard alone."""

from typing import Protocol

from playwright.sync_api import Locator, Page, expect

# Where one goes, and the keys for it.
KEYS = {
    "/": "o",
    "/clusters": "c",
    "/clusters/new": "n",
    "/operations": "p",
    "/account": "t",
    "/notifications": "m",
    "/users": "u",
}
_FAR = 200
_FOCUSED = "element => element === document.activeElement"
# Of radios and tabs only one is reached by Tab; arrows lead to the others.
_TOGETHER = """element => {
  const now = document.activeElement;
  return element === now
    || (element.type === "radio" && now.type === "radio" && element.name === now.name)
    || (element.role === "tab" && now.role === "tab" && element.parentElement === now.parentElement);
}"""


class Hand(Protocol):
    def __init__(self, page: Page) -> None: ...
    def go(self, path: str) -> None: ...
    def sign_in(self, name: str, password: str) -> None: ...
    def press(self, target: Locator) -> None: ...
    def type(self, target: Locator, text: str) -> None: ...
    def tick(self, target: Locator) -> None: ...
    def choose(self, role: str, name: str) -> None:
        """One of several radios or tabs."""


class Mouse:
    def __init__(self, page: Page) -> None:
        self._page = page

    def go(self, path: str) -> None:
        self._page.goto(path)

    def sign_in(self, name: str, password: str) -> None:
        self._page.get_by_label("Username").fill(name)
        self._page.get_by_label("Password").fill(password)
        self._page.get_by_role("button", name="Sign in", exact=True).click()

    def press(self, target: Locator) -> None:
        target.click()

    def type(self, target: Locator, text: str) -> None:
        target.fill(text)

    def tick(self, target: Locator) -> None:
        target.check()

    def choose(self, role: str, name: str) -> None:
        self._page.get_by_text(name, exact=True).click()


class Keys:
    """Nothing is clicked, and nothing is filled in but by typing where the focus is."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._keyboard = page.keyboard

    def go(self, path: str) -> None:
        self._keyboard.press(f"Alt+{KEYS[path]}")
        self._page.wait_for_url(f"**{path}")

    def sign_in(self, name: str, password: str) -> None:
        """The page has put the focus where the name is typed."""
        expect(self._page.get_by_label("Username")).to_be_focused()
        self._keyboard.type(name)
        self._keyboard.press("Tab")
        self._keyboard.type(password)
        self._keyboard.press("Enter")

    def press(self, target: Locator) -> None:
        # A menu's own key.
        self.reach(target, by="ArrowDown" if target.get_attribute("role") == "menuitem" else "Tab")
        self._keyboard.press("Enter")

    def type(self, target: Locator, text: str) -> None:
        self.reach(target)
        self._keyboard.press("Control+a")
        self._keyboard.type(text)

    def tick(self, target: Locator) -> None:
        self.reach(target)
        self._keyboard.press("Space")

    def choose(self, role: str, name: str) -> None:
        target = self._page.get_by_role(role, name=name)  # type: ignore[arg-type]
        self.reach(target, until=_TOGETHER)
        self.reach(target, by="ArrowRight")

    def reach(self, target: Locator, by: str = "Tab", until: str = _FOCUSED) -> None:
        target.wait_for(state="attached")
        for _ in range(_FAR):
            if target.evaluate(until):
                return
            self._keyboard.press(by)
        raise AssertionError(f"{target} is not reached by {by}")
