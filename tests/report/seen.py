"""A page as a reader and as a program sees it."""

from __future__ import annotations

from html.parser import HTMLParser

from bestpolicy.report import drawing

LIBRARY = drawing.library()  # no word or element of which is read


class Text(HTMLParser):
    """What a reader sees, and every attribute."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.tags: list[str] = []
        self._hidden = 0
        self.feed(page.replace(LIBRARY, ""))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._hidden += tag in ("script", "style")
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())
