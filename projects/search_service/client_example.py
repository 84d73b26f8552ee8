"""Example client of the search service: search, find similar, add, delete.

MVLT_SEARCH_TOKEN=... python client_example.py http://127.0.0.1:8000 'red shoes' [IMAGE]
"""

import json
import os
import sys
from pathlib import Path

import httpx


def main() -> None:
    """Search by a text; given an image, find similar products, add it and delete it."""
    address, text, *images = sys.argv[1:]
    token = os.environ.get('MVLT_SEARCH_TOKEN', '')
    with httpx.Client(base_url=address, timeout=30) as client:
        show(client.post('/search', json=dict(text=text, topk=3)))
        for path in images:
            files = [('images', (Path(path).name, Path(path).read_bytes()))]
            show(client.post('/similar', files=files, data=dict(query=json.dumps(dict(topk=3)))))
            headers = dict(Authorization=f'Bearer {token}')
            show(client.put('/products/example', files=files, headers=headers))
            show(client.delete('/products/example', headers=headers))


def show(response: httpx.Response) -> None:
    """Print an answer; ``error`` explains a refusal."""
    print(response.status_code, json.dumps(response.json(), indent=1))


if __name__ == '__main__':
    main()
