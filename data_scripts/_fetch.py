"""What the data scripts share: fetch a file from the first source that has it, check it, explain what failed.

pooch checks the sum and moves a file to its final name only when the sum is right. The bytes gather in
DEST/unfinished_downloads/NAME.part, so that a second run goes on where the first one stopped.
"""

import argparse
import errno
import hashlib
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import pooch
import requests
from tqdm import tqdm

RETRIES = 3  # after the first try of one source; pooch waits 1, 2, 3 seconds
BLOCK = 1 << 14  # bytes; what a broken connection loses at most
TIMEOUT = (10, 60)  # seconds to connect, seconds without a byte
UNFINISHED = "unfinished_downloads"
MIRROR_VARIABLE = "DEEPID_MIRROR"


class FetchError(Exception):
    """What the user has to know, in one line: file, value, remedy."""


class SourceFailed(Exception):
    """This source will not give the file however often one asks; pooch does not retry it."""


@dataclass(frozen=True)
class Remote:
    """One file: its sum ("sha256:..." or "md5:..."), bytes if known, and its sources in their order."""

    sum: str
    size: int | None
    urls: tuple[str, ...]
    needed: bool = True


class Downloader:
    """The part of a download that pooch leaves to us: one try of one URL, continuing NAME.part.

    Raises `SourceFailed` where another try is useless, and a `requests` exception where it may help.
    """

    def __init__(self, part: Path, size: int | None, down: set[str]):
        self.part, self.size, self.down = part, size, down
        self.whole = False  # a whole file came in one piece, and pooch asks again: its sum was wrong

    def __call__(self, url, output_file, _pooch):
        if self.whole:
            raise SourceFailed("wrong checksum, the file there is damaged or another one")
        have = self.part.stat().st_size if self.part.exists() else 0
        if self.size is not None and have > self.size:
            have = 0
        if have == 0 or have != self.size:  # else: all is here, an earlier run ended before the check
            have = self.receive(url, have)
        self.whole = have == 0
        os.replace(self.part, output_file)

    def receive(self, url: str, have: int) -> int:
        """Append what is missing to the .part file; return the number of bytes that were kept from before."""
        with self.ask(url, have) as answer:
            if answer.status_code == 206:
                if not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                    self.part.unlink()
                    raise requests.exceptions.ConnectionError("continues at the wrong byte")
            else:  # 200: the whole file, from a server that cannot continue one
                have = 0
            plain = "Content-Encoding" not in answer.headers  # a packed answer's length says nothing
            length = answer.headers.get("Content-Length", "") if plain else ""
            total = have + int(length) if length.isdigit() else None
            if self.size is not None and total is not None and total != self.size:
                raise SourceFailed(f"offers {total:,} bytes instead of {self.size:,}")
            self.write(answer, have, total)
        return have

    def ask(self, url: str, have: int) -> requests.Response:
        headers = {"Accept-Encoding": "identity"}  # so that lengths and ranges count the file's own bytes
        if have:
            headers["Range"] = f"bytes={have}-"
        try:
            answer = requests.get(url, headers=headers, stream=True, timeout=TIMEOUT)
        except requests.exceptions.ConnectionError as error:
            if error.args and hasattr(error.args[0], "reason"):  # never connected: no name, no route, no TLS
                self.down.add(urlsplit(url).netloc)
                tls = isinstance(error, requests.exceptions.SSLError)
                raise SourceFailed("its certificate is refused" if tls else "no connection") from None
            raise
        except ValueError as error:  # requests' own MissingSchema, InvalidURL, ... are ValueErrors
            raise SourceFailed(f"not a usable address: {error}") from None
        code = answer.status_code
        if code == 416:  # our .part does not fit the file there
            self.part.unlink(missing_ok=True)
        if code in (416, 429) or code >= 500:
            answer.raise_for_status()
        if code not in (200, 206):
            raise SourceFailed(f"HTTP {code}")
        if answer.headers.get("Content-Type", "").startswith("text/html"):
            raise SourceFailed("a web page instead of the file: a login or a used-up download quota")
        return answer

    def write(self, answer: requests.Response, have: int, total: int | None) -> None:
        want = (total or self.size or 0) - have
        if want > shutil.disk_usage(self.part.parent).free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.part))
        bar = tqdm(total=total, initial=have, unit="B", unit_scale=True, disable=None, desc=self.part.stem)
        with bar, open(self.part, "ab" if have else "wb") as out:
            for block in answer.iter_content(BLOCK):
                out.write(block)
                bar.update(len(block))
        # urllib3 1.x does not complain when a body ends before its Content-Length
        if total is not None and self.part.stat().st_size < total:
            raise requests.exceptions.ConnectionError("cut off")


def fetch(name: str, remote: Remote, dest: Path, mirror: str | None, down: set[str]) -> str:
    """Fetch DEST/name and return the URL that gave it.

    The sources are tried in turn; `mirror` (a copy of DEST on a web server) replaces them all. `down`
    collects hosts that cannot be reached, so that they are asked once only. Raises `FetchError` whose text
    is the reasons, source by source; nothing is then left under the final name.
    """
    urls = (mirror.rstrip("/") + "/" + quote(name),) if mirror else remote.urls
    staging = dest / UNFINISHED
    staging.mkdir(parents=True, exist_ok=True)
    flat = Path(name).name
    reasons = []
    for url in urls:
        host = urlsplit(url).netloc or url
        if host in down:
            reasons.append(f"{host}: no connection")
            continue
        source = pooch.create(
            staging, base_url="", registry={flat: remote.sum}, urls={flat: url}, retry_if_failed=RETRIES
        )
        downloader = Downloader(staging / (flat + ".part"), remote.size, down)
        try:
            got = source.fetch(flat, downloader=downloader)
        except SourceFailed as error:
            reasons.append(f"{host}: {error}")
        except requests.exceptions.RequestException as error:
            reasons.append(f"{host}: {in_words(error)}")
        except ValueError:  # pooch's word for a wrong sum
            reasons.append(f"{host}: wrong checksum")
        else:
            (dest / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(got, dest / name)
            return url
    raise FetchError("; ".join(dict.fromkeys(reasons)))


def in_words(error: requests.exceptions.RequestException) -> str:
    """A transfer that broke off, in a few words."""
    if error.response is not None:
        return f"HTTP {error.response.status_code}"
    if isinstance(error, requests.exceptions.Timeout):
        return "stopped answering"
    return f"broke off {1 + RETRIES} times"


def check_sum(path: Path, remote: Remote) -> None:
    """Raise `FetchError` unless the file has its size and sum. The user's file is left alone."""
    if not path.is_file():
        raise FetchError(f"{path}: is not a file; move it away and run again")
    size = path.stat().st_size
    if remote.size is not None and size != remote.size:
        raise FetchError(
            f"{path}: has {size:,} bytes instead of {remote.size:,} (cut short, or another "
            "file); delete it and run again"
        )
    kind, expected = remote.sum.split(":")
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, kind).hexdigest()
    if found != expected:
        raise FetchError(
            f"{path}: {kind} is {found} instead of {expected} (damaged, or another file); delete it and run again"
        )


def get_all(files: dict[str, Remote], dest: Path, options: argparse.Namespace, by_hand: str) -> None:
    """Check the files that are in DEST, fetch the others. One line a file on stdout.

    Raises one `FetchError` that names every needed file that could not be had and says `by_hand`; for the
    other files there is a note on stderr.
    """
    missing, reasons, down = [], [], set()
    try:
        for name, remote in files.items():
            if (dest / name).exists():
                check_sum(dest / name, remote)
                print(f"{name}: here, checksum right")
            elif options.check_only:
                missing.append(name)
            else:
                try:
                    url = fetch(name, remote, dest, options.base_url, down)
                    print(f"{name}: fetched from {urlsplit(url).netloc}, checksum right", flush=True)
                except FetchError as error:
                    missing.append(name)
                    reasons += str(error).split("; ")
    finally:
        if not options.check_only:
            tidy(dest)
    why = "; ".join(dict.fromkeys(reasons))
    if any(files[name].needed for name in missing):
        listed = ", ".join(described(name, files[name]) for name in missing if files[name].needed)
        if options.check_only:
            raise FetchError(f"{dest}: missing {listed}; run without --check-only, or {by_hand}")
        raise FetchError(f"{dest}: could not fetch {listed}: {why}; {by_hand}, then run again")
    if missing:
        print(
            f"note: without {', '.join(missing)}{f' ({why})' if why else ''}; the other files do without",
            file=sys.stderr,
        )


def described(name: str, remote: Remote) -> str:
    return name if remote.size is None else f"{name} ({remote.size:,} bytes)"


def tidy(dest: Path) -> None:
    """Remove the folder of unfinished downloads, but not another run's beginnings."""
    staging = dest / UNFINISHED
    if staging.is_dir():
        for left in staging.iterdir():
            if left.stat().st_size == 0:  # pooch's temporary names after a kill
                left.unlink()
        if not any(staging.iterdir()):
            staging.rmdir()


def write_text(path: Path, text: str) -> None:
    """Write beside, then rename: a reader sees the old file or the new one."""
    beside = path.with_name(path.name + ".tmp")
    try:
        beside.write_text(text, encoding="utf-8", newline="\n")
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


class OneLineParser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(2, f"{self.prog}: {message}; --help shows the options\n")


def parse(argv: list[str] | None, description: str, prog: str) -> argparse.Namespace:
    """DEST, --base-url, --check-only: the same for every script."""
    parser = OneLineParser(prog=prog, description=description)
    parser.add_argument("dest", metavar="DEST", type=Path, help="folder for the data; made when missing")
    parser.add_argument(
        "--base-url",
        metavar="URL",
        default=os.environ.get(MIRROR_VARIABLE) or None,
        help=f"fetch from this copy of DEST instead of the public hosts (or set {MIRROR_VARIABLE})",
    )
    parser.add_argument("--check-only", action="store_true", help="fetch nothing, check what is there")
    return parser.parse_args(argv)


def run(prog: str, work, argv: list[str] | None, description: str) -> int:
    """Call work(options); return the exit status. What goes wrong becomes one line on stderr."""
    pooch.get_logger().setLevel("ERROR")  # the scripts say themselves what they fetch
    options = parse(argv, description, prog)
    try:
        if options.dest.exists() and not options.dest.is_dir():
            raise FetchError(f"{options.dest}: is a file; name a folder for the data")
        if options.check_only and not options.dest.is_dir():
            raise FetchError(f"{options.dest}: no such folder; run without --check-only to fetch the data")
        options.dest.mkdir(parents=True, exist_ok=True)
        work(options)
        return 0
    except FetchError as error:
        line = str(error)
    except KeyboardInterrupt:
        print(f"{prog}: interrupted; run it again and it goes on where it stopped", file=sys.stderr)
        return 130
    except OSError as error:
        line = os_error_line(error, options.dest)
    print(f"{prog}: {' '.join(line.split())}", file=sys.stderr)
    return 2


def os_error_line(error: OSError, dest: Path) -> str:
    where = error.filename or dest
    if error.errno == errno.ENOSPC:
        return f"{where}: the disk is full; free some space and run again, it goes on where it stopped"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{where}: {error.strerror}; choose another DEST or change its rights"
    return f"{where}: {error.strerror or error}; check the path and the disk, then run again"
