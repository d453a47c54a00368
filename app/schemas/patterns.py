"""Patterns in words: whoever typed something else is told what to type, not how a program says it."""

from app.rules import naming, ssh_keys
from app.schemas import workloads

_ENDS = "it begins and ends with one of the first two"
WORDS = {
    naming.NAME_PATTERN: "small letters, digits and dashes; it begins with a letter and ends with no dash",
    workloads.NAME: "small letters, digits and dashes, 39 at most; it begins with a letter and ends with no dash",
    r"^[a-z]([-a-z0-9]{0,13}[a-z0-9])?$": "small letters, digits and dashes, 15 at most; it begins with a letter",
    naming.USERNAME_PATTERN: f"small letters, digits and any of - . _ @; {_ENDS}",
    naming.CATALOGUE_NAME_PATTERN: f"small letters, digits and any of - .; {_ENDS}",
    r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$": f"small letters, digits and dashes, 63 at most; {_ENDS}",
    naming.SEARCH_PATTERN: "letters, digits and any of - . _ @",
    r"^[-._@a-z0-9]+$": "small letters, digits and any of - . _ @",
    r"^(\*|[-._@A-Za-z0-9]+)$": "a username or an id, or * for everybody's",
    r"^[A-Za-z0-9._:-]+$": "letters, digits and any of - . _ :",
    naming.LABEL_KEY_PATTERN: f"letters, digits and any of - . _; {_ENDS}",
    naming.LABEL_VALUE_PATTERN: f"letters, digits and any of - . _, or nothing; {_ENDS}",
    naming.LABEL_FILTER_PATTERN: "a label as key=value",
    workloads.ENVIRONMENT_NAME: "letters, digits and _; it does not begin with a digit",
    workloads.ABSOLUTE_PATH: "a path that begins with /, without : and without line ends",
    r"^/[\x21-\x7e]*$": "a path that begins with /, without spaces",
    workloads.REGISTRY: "a registry as images name it, such as registry.example:5000",
    ssh_keys.KEY_OR_NAME: "a public SSH key as ssh-keygen writes it, such as ssh-ed25519 AAAA… name, or the name of "
    "one that you saved",
    r"^[^\x00-\x1f\x7f]*$": "one line of text",
    r"^[\x20-\x7e]*$": "plain letters, digits and signs in one line, no accents",
    r"^[\x21-\x7e]+$": "letters, digits and signs without spaces",
    r"^https?://[\x21-\x7e]+$": "an address that begins with https://",
}


def words(pattern: str) -> str:
    return WORDS.get(pattern, "there are characters in it that cannot be there")
