"""Chromium, without a window and without a network: it reads TeX with the book's own MathJax, and prints."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import tempfile
from html import unescape
from pathlib import Path

from edition_pages import EditionError

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# Our own pages are trusted, and inside containers and as root the sandbox cannot start. No name is ever resolved.
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--allow-file-access-from-files",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--virtual-time-budget=300000",
)
MATHML_PAGE = """<!doctype html><meta charset="utf-8"><body>
<script id="tex" type="application/json">{tex}</script>
<script>
const give = () => {{
  const tex = JSON.parse(document.getElementById("tex").textContent);
  const found = tex.map(([text, display]) => MathJax.tex2mml(text, {{display}}));
  const out = document.body.appendChild(document.createElement("pre"));
  out.id = "mathml";
  out.textContent = JSON.stringify(found);
}};
window.MathJax = {{startup: {{typeset: false, ready: () => {{ MathJax.startup.defaultReady(); give(); }}}}}};
</script>
<script src="{mathjax}/tex-chtml-full.js"></script></body>
"""


def find_chromium() -> str:
    named = os.environ.get("CHROMIUM")
    for name in [named] if named else PROGRAMS:
        if path := shutil.which(name):
            return path
    missing = f"CHROMIUM={named} is no program" if named else "Chromium is missing"
    raise EditionError(
        f"{missing}: install the package chromium (Ubuntu: chromium-browser), or set the environment "
        "variable CHROMIUM to Chromium's or Chrome's program"
    )


def chromium(page: Path, *arguments: str) -> str:
    """Load a file and do what the arguments say; what Chromium prints."""
    with tempfile.TemporaryDirectory() as profile:
        command = [find_chromium(), *FLAGS, f"--user-data-dir={profile}", *arguments, page.as_uri()]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=280, errors="replace")
        except subprocess.TimeoutExpired:
            raise EditionError(f"Chromium took more than 280 seconds for {page}") from None
    if done.returncode:
        raise EditionError(f"Chromium failed on {page}: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    return done.stdout


def mathjax() -> str:
    """The address of the MathJax that the web pages use."""
    source = Path(importlib.util.find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax"
    return source.as_uri()


def to_mathml(asked: list[tuple[str, bool]], page: Path) -> dict:
    """(TeX, displayed) -> MathML, by MathJax, which reads the TeX of the web pages as well. `page` is written."""
    text = json.dumps(asked).replace("<", "\\u003c")
    page.write_text(MATHML_PAGE.format(tex=text, mathjax=mathjax()), encoding="utf-8")
    match = re.search(r'<pre id="mathml">(.*?)</pre>', chromium(page, "--dump-dom"), re.S)
    if match is None:
        raise EditionError("MathJax gave no MathML: one of the equations stops it")
    found = json.loads(unescape(match[1]))
    wrong = [tex for (tex, _), made in zip(asked, found, strict=True) if "merror" in made or 'color="red"' in made]
    if wrong:
        raise EditionError(f"MathJax cannot read the equation {wrong[0]!r}")
    return dict(zip(asked, found, strict=True))
