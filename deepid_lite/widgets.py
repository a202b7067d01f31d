"""Interactive figures: a self-contained piece of HTML that needs no server, in the book's page as in Colab.

A template in `widgets/` holds the markup, style and script; the data of one figure goes into it as JSON.
"""

import base64
import io
import json
from importlib import resources

from PIL import Image


def page(name, data):
    """The HTML of the widget `name` with `data` (a dict for JSON) in the place of `@DATA@`."""
    template = (resources.files(__package__) / "widgets" / f"{name}.html").read_text(encoding="utf-8")
    # "</" would end the script element that the data lie in
    return template.replace("@DATA@", json.dumps(data, separators=(",", ":")).replace("</", "<\\/"))


def picture(image):
    """A uint8 (H, W, 3) picture as a data address that an <img> shows."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "WEBP", quality=80)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
