"""Download the images of a table of addresses.

    tools/dataset_converters/fetch_images.py EXPORT.csv MY_CATALOGUE [--column 'Image Src']

Writes MY_CATALOGUE/images/ and MY_CATALOGUE/products.csv: the table with files in place of
addresses, several in a cell as ``a.jpg|b.jpg``. Run the same command again to resume; downloaded
files are kept. An address without an image is reported, and its cell stays empty. Only public
addresses are requested, also after a redirection: a table may come from anybody.
"""

import argparse
import contextlib
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
from threading import Timer
from typing import Any, NamedTuple
from urllib.parse import quote, urljoin, urlsplit

from rich.progress import track

from mvlt.datasets.column_guesses import has_addresses
from mvlt.datasets.table import find_table, read_table
from mvlt.datasets.transforms.loading import open_image
from mvlt.files import written_whole
from mvlt.tools.command_line import run_command

REDIRECTIONS = 5
_BLOCK = 1 << 16
_MAX_PIXELS = 100_000_000
_AGAIN = {408, 425, 429, 500, 502, 503, 504}


class Limits(NamedTuple):
    """Limits of one download.

    seconds: for all of it, redirections included; and between two bytes.
    max_bytes: of the file.
    retries: further tries if a server fails, stalls or breaks off.
    private: also request addresses of the local network.
    """

    seconds: float = 20
    max_bytes: int = 20_000_000
    retries: int = 3
    private: bool = False


DEFAULT = Limits()


class _PassingError(OSError):
    """A temporary failure."""


class _Connection(http.client.HTTPConnection):
    """Connects to a checked address, so a name cannot change its meaning in between."""

    def __init__(self, host: str, port: int, limits: Limits, tls: bool) -> None:
        super().__init__(host, port, timeout=limits.seconds)
        self.limits, self.tls, self.ended = limits, tls, False

    def connect(self) -> None:
        """Connect; every address of the host must be public."""
        addresses = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        for *_, address in addresses:
            if not self.limits.private and not is_public(str(address[0])):
                raise ValueError(
                    f'{self.host} is {address[0]}, not public; to allow it, add --private'
                )
        host, port = str(addresses[0][4][0]), self.port
        self.sock = socket.create_connection((host, port), timeout=self.timeout)
        if self.tls:
            context = ssl.create_default_context()
            self.sock = context.wrap_socket(
                self.sock, server_hostname=self.host, do_handshake_on_connect=False
            )
            self.sock.do_handshake()
        if self.ended:  # before there was a socket to shut down
            raise TimeoutError

    def abort(self) -> None:
        """End a read that waits, from another thread."""
        self.ended = True
        with contextlib.suppress(OSError, AttributeError):
            self.sock.shutdown(socket.SHUT_RDWR)


def is_public(address: str) -> bool:
    """Whether an address is public, and so are the IPv4 addresses that an IPv6 address contains."""
    ip = ipaddress.ip_address(address)
    if not ip.is_global:
        return False
    if isinstance(ip, ipaddress.IPv4Address):
        return True
    contained = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
    if any(ip in network for network in _WITH_IPV4):
        contained.append(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
    return all(v4.is_global for v4 in contained if v4 is not None)


# NAT64 (RFC 6052) and IPv4-compatible addresses end with an IPv4 address
_WITH_IPV4 = [ipaddress.ip_network(name) for name in ('64:ff9b::/96', '::/96')]


def fetch(address: str, limits: Limits = DEFAULT) -> bytes:
    """The bytes of an image.

    Raises:
        OSError, ValueError: no image; the message says why.
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
        end = Timer(max(0.0, until - time.monotonic()), connection.abort)
        end.start()
        try:
            target = quote(parts.path or '/', safe="/%:@!$&'()*+,;=~")
            target += f'?{quote(parts.query, safe="%:@!$&()*+,;=/?~")}' if parts.query else ''
            connection.request('GET', target, headers={'User-Agent': 'mvlt', 'Accept': 'image/*'})
            answer = connection.getresponse()
            if answer.status in (301, 302, 303, 307, 308) and answer.getheader('Location'):
                address = urljoin(address, str(answer.getheader('Location')))
                continue
            if answer.status in _AGAIN:
                raise _PassingError(f'the server answers {answer.status}')
            if answer.status != 200:
                raise ValueError(f'the server answers {answer.status} {answer.reason}')
            return _body(answer, limits, until)
        except (OSError, http.client.HTTPException) as error:
            if time.monotonic() > until:  # the end came while headers or bytes dripped
                raise TimeoutError from error
            raise
        finally:
            end.cancel()
            connection.close()
    raise ValueError(f'more than {REDIRECTIONS} redirections')


def _body(answer: http.client.HTTPResponse, limits: Limits, until: float) -> bytes:
    length = answer.getheader('Content-Length') or ''
    if length.isdigit() and int(length) > limits.max_bytes:
        raise ValueError(
            f'{int(length) / 1e6:.1f} MB, more than {limits.max_bytes / 1e6:.1f}; raise --max-mb'
        )
    content = bytearray()
    while block := answer.read1(_BLOCK):
        content += block
        if len(content) > limits.max_bytes:
            raise ValueError(f'more than {limits.max_bytes / 1e6:.1f} MB; raise --max-mb')
        if time.monotonic() > until:
            raise TimeoutError
    if time.monotonic() > until:  # the end of the time looks like the end of the answer
        raise TimeoutError
    if length.isdigit() and len(content) < int(length):
        raise _PassingError(f'broken off after {len(content)} of {length} bytes')
    return bytes(content)


def fetch_to(address: str, folder: Path, limits: Limits = DEFAULT) -> str:
    """Write an image into a folder and return its name, a hash of the address.

    Raises:
        OSError, ValueError: no image; the message says why.
    """
    stem = hashlib.sha256(address.encode()).hexdigest()[:20]
    if known := next(folder.glob(f'{stem}.*'), None):
        return known.name
    content = fetch(address, limits)
    try:
        with open_image(io.BytesIO(content), _MAX_PIXELS) as opened:
            suffix = (opened.format or '').lower()
            opened.verify()
    except Exception as error:  # Pillow's decoders raise many kinds
        raise ValueError(f'not an image ({len(content)} bytes)') from error
    name = f'{stem}.{"jpg" if suffix in ("jpeg", "mpo") else suffix}'
    with written_whole(folder / name) as file:
        file.write(content)
    return name


def addresses_in(cell: str) -> list[str]:
    """The addresses in a cell, separated by bars, blanks, line breaks or commas."""
    return [
        address.strip(' ,;')
        for address in re.split(r'[|\s]+|[,;](?=\s*https?://)', cell)
        if address
    ]


def fetch_all(
    addresses: Iterable[str], folder: Path, limits: Limits, workers: int
) -> tuple[dict[str, str], dict[str, str]]:
    """Address -> file of each download, and address -> reason of each failure."""
    distinct = list(dict.fromkeys(addresses))
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, str] = {}
    failed: dict[str, str] = {}
    with ThreadPoolExecutor(workers) as pool:
        waiting: dict[Any, str] = {
            pool.submit(fetch_to, address, folder, limits): address for address in distinct
        }
        for done in track(as_completed(waiting), description='fetching', total=len(distinct)):
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
    parser.add_argument('table', help='CSV, Parquet, Excel, ...')
    parser.add_argument('catalogue', type=Path, help='the new folder')
    parser.add_argument('--column', help='of addresses; default: the only column with addresses')
    parser.add_argument('--workers', type=int, default=16, help='parallel downloads')
    parser.add_argument('--seconds', type=float, default=20, help='limit of a download')
    parser.add_argument('--max-mb', type=float, default=20, help='limit of an image')
    parser.add_argument('--retries', type=int, default=3)
    parser.add_argument(
        '--private', action='store_true', help='also request addresses of the local network'
    )
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
    addresses = [address for several in cells.values() for address in several]
    files, failed = fetch_all(addresses, args.catalogue / 'images', limits, args.workers)
    named = {
        cell: '|'.join(f'images/{files[address]}' for address in several if address in files)
        for cell, several in cells.items()
    }
    table[column] = table[column].map(named)
    with written_whole(out) as file:
        file.write(table.to_csv(index=False).encode())
    print(
        f'{out}: {len(files)} images downloaded, {len(failed)} failed; '
        f'{int((table[column] == "").sum())} of {len(table)} rows have no image'
    )


def _column(table: Any, source: str) -> str:
    columns = [name for name in table if has_addresses(table[name])]
    likely = [name for name in columns if re.search('(?i)ima?ge?|pic|photo|foto|bild', name)]
    if len(likely or columns) != 1:
        names = ', '.join(likely or columns) or 'none'
        raise ValueError(f'{source}: columns with addresses: {names}; name one with --column')
    return str((likely or columns)[0])


if __name__ == '__main__':
    run_command(main)
