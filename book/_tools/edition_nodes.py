"""Sphinx extension of the editions: extensions that know HTML write ePubs, too.

Sphinx looks for the visitors of a node under the builder's name and, only if no extension at all has registered any
there, under "html". One extension that names "epub" would hide the HTML visitors of all others.
"""


def share_visitors(app):
    known = app.registry.translation_handlers
    known["epub"] = known.get("html", {}) | known.get("epub", {})


def setup(app):
    app.connect("builder-inited", share_visitors)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
