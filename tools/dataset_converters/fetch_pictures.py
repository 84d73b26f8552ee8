"""Bring the pictures that a table names by addresses to files.

    tools/dataset_converters/fetch_pictures.py EXPORT.csv MY_CATALOGUE [--column 'Image Src']

Writes MY_CATALOGUE/images/ and MY_CATALOGUE/products.csv, the table with files in the place of
addresses, several of a cell as ``a.jpg|b.jpg``. What is there already is not fetched again, so the
same command goes on after a stop. An address that gives no picture is a line of the output, and
its cell is left empty. Only public addresses are asked, redirections too: a table may come from
anybody.
"""

import argparse
import hashlib
import http.client
import io
import ipaddress
import re
import socket
import ssl
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urljoin, urlsplit

from PIL import Image
from rich.progress import track

from mvlt.command_line import run_command
from mvlt.datasets.column_guesses import has_addresses
from mvlt.datasets.table import find_table, read_table
from mvlt.files import written_whole

REDIRECTIONS = 5
_BLOCK = 1 << 16
_AGAIN = {408, 425, 429, 500, 502, 503, 504}


class Limits(NamedTuple):
    """What one picture may take.

    seconds: until it is there, redirections included; and between two of its bytes.
    max_bytes: of the file.
    retries: further tries where a server fails, stalls or breaks off.
    private: addresses of the own network are asked, too.
    """

    seconds: float = 20
    max_bytes: int = 20_000_000
    retries: int = 3
    private: bool = False


DEFAULT = Limits()


class _PassingError(OSError):
    """A failure that another try may not meet."""


class _Connection(http.client.HTTPConnection):
    """Connects to an address that was checked, so that no name can change what it means."""

    def __init__(self, host: str, port: int, limits: Limits, tls: bool) -> None:
        super().__init__(host, port, timeout=limits.seconds)
        self.limits, self.tls = limits, tls

    def connect(self) -> None:
        """Of all addresses of the host each must be public."""
        found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        for *_, address in found:
            if not self.limits.private and not ipaddress.ip_address(address[0]).is_global:
                raise ValueError(
                    f'{self.host} is {address[0]}, which is not public; --private asks it'
                )
        host, port = str(found[0][4][0]), self.port
        self.sock = socket.create_connection((host, port), timeout=self.timeout)
        if self.tls:
            context = ssl.create_default_context()
            self.sock = context.wrap_socket(self.sock, server_hostname=self.host)


def fetch(address: str, limits: Limits = DEFAULT) -> bytes:
    """The bytes of a picture.

    Raises:
        OSError, ValueError: there is none; why.
    """
    for turn in range(limits.retries + 1):
        try:
            return _fetch_once(address, limits)
        except (_PassingError, TimeoutError, ConnectionError, http.client.HTTPException) as error:
            last = 'no answer in time' if isinstance(error, TimeoutError) else str(error)
            last = last or type(error).__name__
        except socket.gaierror as error:
            raise OSError(f'no such host ({error.strerror})') from error
        if turn < limits.retries:
            time.sleep(min(2.0**turn / 2, 8))
    raise OSError(f'{last}; tried {limits.retries + 1} times')


def _fetch_once(address: str, limits: Limits) -> bytes:
    until = time.monotonic() + limits.seconds
    for _ in range(REDIRECTIONS + 1):
        parts = urlsplit(address)
        if parts.scheme not in ('http', 'https') or not parts.hostname:
            raise ValueError(f'not an http address: {address:.80}')
        tls = parts.scheme == 'https'
        connection = _Connection(parts.hostname, parts.port or (443 if tls else 80), limits, tls)
        try:
            target = quote(parts.path or '/', safe="/%:@!$&'()*+,;=~")
            target += f'?{quote(parts.query, safe="%:@!$&()*+,;=/?~")}' if parts.query else ''
            connection.request('GET', target, headers={'User-Agent': 'mvlt', 'Accept': 'image/*'})
            answer = connection.getresponse()
            if answer.status in (301, 302, 303, 307, 308) and answer.getheader('Location'):
                address = urljoin(address, str(answer.getheader('Location')))
                continue
            if answer.status in _AGAIN:
                raise _PassingError(f'the server says {answer.status}')
            if answer.status != 200:
                raise ValueError(f'the server says {answer.status} {answer.reason}')
            return _body(answer, limits, until)
        finally:
            connection.close()
    raise ValueError(f'more than {REDIRECTIONS} redirections')


def _body(answer: http.client.HTTPResponse, limits: Limits, until: float) -> bytes:
    said = answer.getheader('Content-Length') or ''
    if said.isdigit() and int(said) > limits.max_bytes:
        raise ValueError(f'{int(said) / 1e6:.1f} MB are more than {limits.max_bytes / 1e6:.1f}')
    found = bytearray()
    while block := answer.read1(_BLOCK):
        found += block
        if len(found) > limits.max_bytes:
            raise ValueError(f'more than {limits.max_bytes / 1e6:.1f} MB')
        if time.monotonic() > until:
            raise TimeoutError
    if said.isdigit() and len(found) < int(said):
        raise _PassingError(f'broken off after {len(found)} of {said} bytes')
    return bytes(found)


def fetch_to(address: str, folder: Path, limits: Limits = DEFAULT) -> str:
    """Write a picture into a folder under a name that follows from its address; that name.

    Raises:
        OSError, ValueError: there is no picture; why.
    """
    stem = hashlib.sha256(address.encode()).hexdigest()[:20]
    if known := next(folder.glob(f'{stem}.*'), None):
        return known.name
    content = fetch(address, limits)
    try:
        with Image.open(io.BytesIO(content)) as opened:
            suffix = (opened.format or '').lower()
            opened.verify()
    except Exception as error:  # Pillow's decoders raise many kinds
        raise ValueError(f'what comes is no picture ({len(content)} bytes)') from error
    name = f'{stem}.{"jpg" if suffix in ("jpeg", "mpo") else suffix}'
    with written_whole(folder / name) as file:
        file.write(content)
    return name


def addresses_in(cell: str) -> list[str]:
    """Of a cell with one or several: by bars, blanks, line breaks, commas before the next one."""
    return [one.strip(' ,;') for one in re.split(r'[|\s]+|[,;](?=\s*https?://)', cell) if one]


def fetch_all(
    addresses: Iterable[str], folder: Path, limits: Limits, workers: int
) -> tuple[dict[str, str], dict[str, str]]:
    """Address -> file of what is there afterwards, and address -> why of what is not."""
    wanted = list(dict.fromkeys(addresses))
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, str] = {}
    failed: dict[str, str] = {}
    with ThreadPoolExecutor(workers) as pool:
        waiting: dict[Any, str] = {
            pool.submit(fetch_to, one, folder, limits): one for one in wanted
        }
        for done in track(as_completed(waiting), description='fetching', total=len(wanted)):
            address = waiting[done]
            try:
                files[address] = done.result()
            except (OSError, ValueError) as error:
                failed[address] = str(error)
                print(f'{address}: {error}', flush=True)
    return files, failed


def main() -> None:
    """Parse, fetch, write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('table', help='CSV, Parquet, sheet, ...')
    parser.add_argument('catalogue', type=Path, help='folder to make')
    parser.add_argument('--column', help='of addresses; default: the only one that holds some')
    parser.add_argument('--workers', type=int, default=16, help='pictures at once')
    parser.add_argument('--seconds', type=float, default=20, help='that one may take')
    parser.add_argument('--max-mb', type=float, default=20, help='that one may have')
    parser.add_argument('--retries', type=int, default=3)
    parser.add_argument('--private', action='store_true', help='ask the own network, too')
    args = parser.parse_args()
    path = find_table(args.table)
    out = args.catalogue / 'products.csv'
    if out.exists() and out.samefile(path):
        raise ValueError(f'{out} is the table itself: name another folder')
    table = read_table(path)
    column = args.column or _column(table, str(path))
    if column not in table:
        raise KeyError(f"{path} has no column '{column}'; it has {', '.join(table)}")
    limits = Limits(args.seconds, int(args.max_mb * 1e6), args.retries, args.private)
    cells = {cell: addresses_in(cell) for cell in table[column].unique()}
    wanted = [one for several in cells.values() for one in several]
    files, failed = fetch_all(wanted, args.catalogue / 'images', limits, args.workers)
    named = {
        cell: '|'.join(f'images/{files[one]}' for one in several if one in files)
        for cell, several in cells.items()
    }
    table[column] = table[column].map(named)
    with written_whole(out) as file:
        file.write(table.to_csv(index=False).encode())
    print(
        f'{out}: {len(files)} pictures there, {len(failed)} not; '
        f'{int((table[column] == "").sum())} of {len(table)} rows have none'
    )


def _column(table: Any, source: str) -> str:
    found = [name for name in table if has_addresses(table[name])]
    likely = [name for name in found if re.search('(?i)ima?ge?|pic|photo|foto|bild', name)]
    if len(likely or found) != 1:
        names = ', '.join(likely or found) or 'none'
        raise ValueError(f'{source}: columns with addresses: {names}; name one with --column')
    return str((likely or found)[0])


if __name__ == '__main__':
    run_command(main)
