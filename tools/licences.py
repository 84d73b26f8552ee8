"""List the installed packages with version and licence, as their metadata name it.

make licences
"""

from importlib.metadata import Distribution, distributions
from typing import Any


def main() -> None:
    """Print one line per package."""
    for name, line in sorted({d.name.lower(): _line(d) for d in distributions()}.items()):
        print(f'{name:32} {line}')


def _line(distribution: Distribution) -> str:
    metadata: Any = distribution.metadata
    named = metadata.get('License-Expression') or ''
    classes = [c for c in metadata.get_all('Classifier') or () if c.startswith('License ::')]
    named = named or '; '.join(c.rpartition(' :: ')[2] for c in classes)
    named = named or (metadata.get('License') or 'not named').strip().splitlines()[0][:80]
    return f'{distribution.version:20} {named}'


if __name__ == '__main__':
    main()
