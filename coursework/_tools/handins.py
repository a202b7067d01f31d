"""Find a class's notebooks: single files, a folder for each student, or a zip as Moodle, Canvas and GitHub hand it out.

Everything is read before anything is graded, so that no hand-in can change another one.
"""

import csv
import io
import re
import unicodedata
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from problem_sets import SetError

MOODLE = re.compile(r"^(?P<student>.+?)_(?P<id>\d+)_assignsubmission_\w+$")
CANVAS = re.compile(r"^(?P<student>[^_]+)_(?:LATE_)?(?P<id>\d+)_\d+_.+$")
MOST = 50_000_000  # bytes of one notebook


@dataclass
class HandIn:
    """One notebook: whose it is, as its path says, and what it holds."""

    student: str
    place: str  # the path that was given or the member of a zip, for messages
    content: bytes
    id: str = ""  # the number that Moodle or Canvas knows the student or the hand-in by

    @property
    def slug(self) -> str:
        """The student as a file name."""
        return re.sub(r"[^\w.-]+", "_", f"{self.student} {self.id}").strip("._") or "nameless"


def find(paths) -> list[HandIn]:
    """The notebooks in files, folders (with all below) and zips; raises SetError where there is none."""
    found = []
    for path in map(Path, paths):
        if path.is_dir():
            members = sorted(file for file in path.rglob("*.ipynb") if file.is_file())
            # of `submissions/*/` each folder is one student's
            root = path.absolute().parent if len(paths) > 1 and len(members) == 1 else path.absolute()
            inside = [PurePosixPath(file.absolute().relative_to(root)) for file in members]
            files = [(str(file), place, _content(file)) for file, place in zip(members, inside, strict=True)]
        elif path.suffix == ".zip":
            files = list(_zip(path))
        else:
            files = [(str(path), PurePosixPath(path.name), _content(path))]
        files = [file for file in files if not any(part.startswith((".", "__MACOSX")) for part in file[1].parts)]
        found += files
    if not found:
        raise SetError("no notebook (.ipynb) to grade there")
    return _named(found)


def _content(path):
    try:
        if path.exists() and not path.is_file():
            raise OSError(0, "no plain file")
        return path.read_bytes()
    except OSError as error:
        raise SetError(f"{path}: {error.strerror}") from None


def _zip(path):
    try:
        with zipfile.ZipFile(path) as zipped:
            for member in zipped.infolist():
                if member.filename.endswith(".ipynb"):
                    with zipped.open(member) as file:
                        content = file.read(MOST + 1)
                    yield f"{path}:{member.filename}", PurePosixPath(member.filename), content[:MOST]
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError) as error:
        raise SetError(f"{path}: cannot be read as a zip ({error}); download it again") from None


def _named(files) -> list[HandIn]:
    """Whose each is: a folder for each student where there are folders, else the name of the file."""
    folders = [inside.parts[:-1] for _, inside, _ in files]
    while len({parts[:1] for parts in folders}) == 1 and len({parts[1:2] for parts in folders} - {()}) > 1:
        folders = [parts[1:] for parts in folders]  # a folder around all of them
    tops = {parts[0] for parts in folders if parts}
    shared = _shared_beginning(tops)  # GitHub Classroom: ps1-anna, ps1-ben
    found = []
    for (place, inside, content), parts in zip(files, folders, strict=True):
        top = parts[0] if parts else inside.stem
        match = MOODLE.match(top) or (None if parts else CANVAS.match(top))
        student = match["student"] if match else top[len(shared) :] if parts else top
        found.append(HandIn(unicodedata.normalize("NFC", student), place, content, match["id"] if match else ""))
    return found


def _shared_beginning(names) -> str:
    """The "ps1-" of ps1-anna and ps1-ben: up to a hyphen, and only where something is left of every name."""
    if len(names) < 2:
        return ""
    first, last = min(names), max(names)
    same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    beginning = first[: first.rfind("-", 0, same) + 1]
    return beginning if all(len(name) > len(beginning) for name in names) else ""


@dataclass
class Roster:
    """The class: one dict a student, as the file's columns say; `of` finds a hand-in's."""

    rows: list[dict] = field(default_factory=list)

    def of(self, student, number="") -> dict | None:
        """The row that a name, a login, an address or a number in any column points to."""
        wanted = {folded(student)} | ({folded(number)} if number else set())
        for row in self.rows:
            values = {folded(value) for value in row.values() if value}
            values |= {folded(value.split("@")[0]) for value in row.values() if "@" in value}
            if wanted & (values | {folded(whole) for whole in whole_names(row)}):
                return row
        return None


def read_roster(path) -> Roster:
    """A CSV with a header, as Canvas, Moodle and GitHub Classroom export it or of your own."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SetError(f"{path}: {getattr(error, 'strerror', 'not in UTF-8')}; save the roster as CSV") from None
    try:
        dialect = csv.Sniffer().sniff(text.split("\n")[0], ",;\t")
    except csv.Error:
        dialect = csv.excel
    try:
        rows = [{str(key).strip(): (value or "").strip() for key, value in row.items() if isinstance(value, str)}
                for row in csv.DictReader(io.StringIO(text), dialect=dialect)]  # fmt: skip
    except csv.Error as error:
        raise SetError(f"{path}: no table ({error}); save the roster as CSV") from None
    rows = [row for row in rows if any(row.values()) and not row.get("Student", "").startswith("Points Possible")]
    if not rows:
        raise SetError(f"{path}: no student; the first line names the columns, such as Student,Email")
    return Roster(rows)


def folded(text) -> str:
    """For comparing names: no case, no accents, no signs."""
    plain = unicodedata.normalize("NFKD", str(text)).casefold()
    return "".join(letter for letter in plain if letter.isalnum())


def column(row, *names) -> str:
    """The value of the first of these columns that the row has, whatever its case."""
    lower = {key.casefold(): value for key, value in row.items()}
    return next((lower[name] for name in names if lower.get(name)), "")


def whole_names(row) -> list[str]:
    """First and last name in both orders, as Canvas ("mullerana") and Moodle ("Ana Müller") join them."""
    first, last = column(row, "first name", "given name"), column(row, "last name", "surname", "family name")
    parts = [part.strip() for part in column(row, "student", "full name", "name").split(",")]
    pairs = [(first, last)] if first and last else []
    pairs += [(parts[1], parts[0])] if len(parts) == 2 else []
    names = column(row, "student", "full name", "name").split()
    pairs += [(" ".join(names[:-1]), names[-1])] if len(parts) == 1 and len(names) > 1 else []
    return [f"{a} {b}" for a, b in pairs] + [f"{b} {a}" for a, b in pairs]


def name_of(row) -> str:
    """How a row of the roster is called in our tables."""
    name = column(row, "student", "full name", "name")
    first, last = column(row, "first name", "given name"), column(row, "last name", "surname", "family name")
    return (
        name
        or f"{first} {last}".strip()
        or column(row, "identifier", "github_username", "username")
        or next(value for value in row.values() if value)
    )
