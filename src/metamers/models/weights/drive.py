"""Google Drive: from a link to an address, and past the page that asks for a confirmation."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urlencode, urlsplit

from metamers.models.weights.errors import DownloadError

ADDRESS = "https://drive.usercontent.google.com/download?id={id}&export=download&confirm=t"


def drive_url(link: str) -> str:
    """Return the address of a Google Drive file, from its id or any link to it."""
    found = re.search(r"(?:[?&]id=|/d/)([\w-]{10,})", link)
    return ADDRESS.format(id=found.group(1) if found else link)


def confirmed_url(page: str) -> str:
    """Return where the page "too large to scan for viruses" leads once it is confirmed.

    Raises
    ------
    DownloadError
        If the page is another one, as for a file with too many downloads today, with what it says.
    """
    form = _Form()
    form.feed(page)
    if not form.action:
        text = re.sub(r"<(style|script).*?</\1>|<[^>]*>", " ", page, flags=re.DOTALL)
        said = " ".join(text.split())[:300]
        raise DownloadError(
            f"Google Drive does not give the file; it says: {said!r}. Try again tomorrow, or fetch "
            "it in a browser and put it into the cache"
        )
    address = urlsplit(form.action)
    query = dict(parse_qsl(address.query)) | form.hidden
    return address._replace(query=urlencode(query)).geturl()


class _Form(HTMLParser):
    """The address and the hidden fields of the form ``download-form``."""

    def __init__(self) -> None:
        super().__init__()
        self.action = ""
        self.hidden: dict[str, str] = {}
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take the form's address, or a hidden field of it."""
        values = {name: value or "" for name, value in attrs}
        if tag == "form" and values.get("id") == "download-form":
            self._inside = True
            self.action = values.get("action", "")
        elif self._inside and tag == "input" and values.get("type") == "hidden":
            self.hidden[values.get("name", "")] = values.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        """Leave the form."""
        self._inside = self._inside and tag != "form"
