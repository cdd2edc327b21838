"""How a notebook asks an object to show itself."""

from __future__ import annotations

from collections.abc import Iterable

from vnet._errors import Error
from vnet._html import Html, card, chosen_forms, faint, join, strong

__all__: list[str] = []


class Shown:
    """Gives a class its view in notebooks, made by its own ``_html``, and by ``_svg`` where it is a picture.

    A view changes nothing and starts nothing, and what cannot be asked just now is said instead of raised.
    """

    __slots__ = ()

    def _html(self) -> Html:
        """Returns the view as HTML."""
        return titled(self, strong(type(self).__name__), faint(repr(self)))

    def _svg(self) -> str | None:
        """Returns the view as one SVG picture, for pages that take no HTML, where it is one."""
        return None

    def _repr_mimebundle_(
        self, include: Iterable[str] | None = None, exclude: Iterable[str] | None = None
    ) -> dict[str, str]:
        """Return its forms by MIME type, as IPython asks for them."""
        forms = {"text/plain": repr(self)}
        try:
            forms["text/html"] = self._html()
            if (picture := self._svg()) is not None:
                forms["image/svg+xml"] = picture
        except (Error, OSError) as error:
            forms["text/html"] = titled(self, strong(type(self).__name__), faint(error))
        return chosen_forms(forms, include, exclude)


def titled(shown: object, title: Html, *body: object) -> Html:
    """Return the view of an object under its title, named by its class and its name for a screen reader."""
    kind = type(shown).__name__
    name = getattr(shown, "name", None)
    return card(title, *body, label=f"{kind} {name}" if isinstance(name, str) else kind)


def headed(shown: object, name: object, *marks: object) -> Html:
    """Return the title of an object: its class, its name, and what is worth a frame."""
    named = [strong(name)] if name != "" else []
    return join(faint(type(shown).__name__), *(join(Html(" "), part) for part in [*named, *marks]))
