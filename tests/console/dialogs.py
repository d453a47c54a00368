"""What opens over the pages: where, and what is pressed for it. Looked at by axe, and on the pictures."""

from dataclasses import dataclass

from playwright.sync_api import Page


@dataclass(frozen=True)
class Dialog:
    """`typed` into it, and sent; then there is another in its place."""

    name: str
    path: str
    presses: tuple[tuple[str, str], ...]
    typed: str | None = None

    def open(self, page: Page, **ids: str) -> None:
        page.goto(self.path.format(**ids))
        page.get_by_role("heading", level=1).wait_for()
        for role, name in self.presses:
            page.get_by_role(role, name=name.format(**ids), exact=True).first.click()  # type: ignore[arg-type]
        shown = page.get_by_role("dialog").or_(page.get_by_role("menu"))
        shown.first.wait_for()
        if self.typed is not None:
            page.keyboard.type(self.typed)
            page.keyboard.press("Enter")
            page.get_by_role("button", name="I have it").wait_for()


_CLUSTER, _USER = "/clusters/{cluster}", "/users/{user}"
_TOLD = "https://ops.example.org/cmp"
_MORE = ("button", "More")
DIALOGS = [
    Dialog("cluster-menu", _CLUSTER, (_MORE,)),
    Dialog("cluster-scale", _CLUSTER, (_MORE, ("menuitem", "More or fewer instances…"))),
    Dialog("cluster-change", _CLUSTER, (_MORE, ("menuitem", "Change image or size…"))),
    Dialog("cluster-delete", _CLUSTER, (_MORE, ("menuitem", "Delete…"))),
    Dialog("clusters-delete", "/clusters", (("checkbox", "Choose all that are shown"), ("button", "Delete"))),
    Dialog("who", "/", (("button", "Account of {me}"),)),
    Dialog("keys", "/", (("button", "Account of {me}"), ("menuitem", "Keys"))),
    Dialog("password", "/account", (("button", "Change the password"),)),
    Dialog("token", "/account", (("button", "Make a token"),)),
    Dialog("token-made", "/account", (("button", "Make a token"),), typed="ci"),
    Dialog("ssh-key", "/account", (("button", "Add an SSH key"),)),
    Dialog("tokens-replace", "/account", (("button", "Replace all"),)),
    Dialog("target", "/notifications", (("button", "Add a target"),)),
    Dialog("target-made", "/notifications", (("button", "Add a target"),), typed=_TOLD),
    Dialog("target-messages", "/notifications", (("button", f"Messages: {_TOLD}"),)),
    Dialog("target-delete", "/notifications", (("button", f"Delete: {_TOLD}"),)),
    Dialog("target-code", "/notifications", (("button", "Enter the code: ops@example.org"),)),
    Dialog("user-create", "/users", (("button", "Create a user"),)),
    Dialog("user-change", _USER, (("button", "Change"),)),
    Dialog("user-disable", _USER, (("button", "Disable"),)),
    Dialog("user-delete", _USER, (("button", "Delete"),)),
    Dialog("user-password", _USER, (("button", "Change the password"),)),
    Dialog("user-link", _USER, (("button", "Link"),)),
    Dialog("image-add", "/catalogue", (("button", "Add an image"),)),
    Dialog("flavour-add", "/catalogue", (("button", "Add a flavour"),)),
    Dialog("policy", "/catalogue", (("button", "Change the policy"),)),
]
