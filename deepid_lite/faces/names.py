"""Who is who among pictures that nobody has listed, by one plain rule on folders and names of files."""

import re
import unicodedata
from collections import Counter
from pathlib import PurePosixPath

DATE = re.compile(r"(19|20)\d\d([-_. ]?\d\d){0,2}")
# what cameras, telephones and browsers call a picture, whoever it shows
CAMERAS = set(
    "img imag image images dsc dscn dscf pxl gopr cimg p photo foto picture pic pict bild face screenshot scan frame "
    "fb mvimg whatsapp signal download unnamed received".split()
)
MOST_SHARE = 0.9  # of the loose pictures; a beginning that more of them share is nobody's name


def who_is_who(paths):
    """{path: person} of all pictures that are there, whether they can be used or not; capitals do not matter.

    The innermost folder is the person; a folder that is a date (`Ada/2020/1.jpg`) belongs to the one around it. A loose
    picture is called by what stands before the number at its end: `anna_1.jpg` and `Anna (2).jpg` show anna. Where
    that tells nobody, as in `0001.jpg`, `IMG_1234.jpg`, or when nearly all loose pictures begin alike, each is a person
    of its own. When all pictures lie in one folder, their names count if they name two people, one of them twice.
    """
    people = {path: folder for path, folder in _folders(paths).items() if folder}
    loose = _by_beginning([path for path in paths if path not in people])
    if len(paths) > 1 and len({PurePosixPath(path).parent for path in paths}) == 1 and people:
        guessed = _by_beginning(paths)
        counts = Counter(_folded(name) for name in guessed.values())
        if len(counts) > 1 and max(counts.values()) > 1:
            people = guessed
    people |= loose
    spelled = {}
    return {path: spelled.setdefault(_folded(people[path]), people[path]) for path in paths}


def _folders(paths):
    """{path: its innermost folder that is no date, None for a loose picture}."""
    parts = {path: PurePosixPath(path).parts[:-1] for path in paths}
    inside = {}
    for folders in parts.values():
        for depth in range(len(folders)):
            inside.setdefault(folders[:depth], set()).add(folders[depth])
    dated = {folder for folder, inner in inside.items() if folder and all(map(DATE.fullmatch, inner))}
    for path, folders in parts.items():
        while folders[:-1] in dated:
            folders = folders[:-1]
        parts[path] = folders[-1] if folders else None
    return parts


def _by_beginning(paths):
    """{path: person} by the beginnings of the files' names."""
    stems = {path: PurePosixPath(path).stem.strip() for path in paths}
    begins = {path: stem.rstrip("0123456789()").rstrip(" _.-(") for path, stem in stems.items()}
    counts = Counter(map(_folded, begins.values()))

    def names_nobody(begin):
        first = re.split(r"[\s_.-]", _folded(begin))[0]
        return not begin or first in CAMERAS or 1 < len(paths) * MOST_SHARE < counts[_folded(begin)]

    return {path: stems[path] if names_nobody(begin) else begin for path, begin in begins.items()}


def _folded(name):
    return unicodedata.normalize("NFC", name).casefold()
