"""Build the packages, install the wheel into an empty environment, run the README's examples.

    python -m tests.try_package            # what `make package` runs; needs the package index

The environment has the wheel and its dependencies, nothing of the checkout; the working folder has
a model and ten images.
"""

import os
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import numpy as np
from PIL import Image

from mvlt.apis import Search
from mvlt.datasets import train_tokenizer
from tests.small_model import write_small_model

ROOT = Path(__file__).parent.parent


def main() -> None:
    """Build, install, run; ends with the status of what fails."""
    dist = ROOT / 'dist'
    for old in dist.glob('mvlt-*'):
        old.unlink()
    subprocess.run([sys.executable, '-m', 'build', '--outdir', str(dist), str(ROOT)], check=True)
    (wheel,) = dist.glob('*.whl')
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder)
        venv.create(empty / 'environment', with_pip=True)
        python = empty / 'environment/bin/python'
        # the README's examples search in an index
        subprocess.run([python, '-m', 'pip', 'install', '--quiet', f'{wheel}[index]'], check=True)
        prepare(empty)
        for code in (*examples(), INHERITED, PRINTED):
            print(f'\n{code.strip()}\n---', flush=True)
            subprocess.run([python, '-c', code], check=True, cwd=empty, env=environment())
        command = [python, '-m', 'mvlt.tools.check_dataset', 'mvlt/pretrain_catalogue']
        subprocess.run(
            [*command, '--data-root', 'MY_CATALOGUE'], check=True, cwd=empty, env=environment()
        )
    print(f'\n{wheel.name} works in an empty environment')


def prepare(folder: Path) -> None:
    """Make the README's MY_MODEL (random), MY_PICTURES, MY_CATALOGUE and MY_INDEX."""
    rng = np.random.default_rng(0)
    (folder / 'MY_PICTURES').mkdir()
    (folder / 'MY_CATALOGUE/images').mkdir(parents=True)
    lines = ['image,id,productDisplayName,subCategory,articleType,colour,gender,price']
    for i in range(60):
        image = Image.fromarray(rng.integers(0, 256, (80, 60, 3), dtype=np.uint8))
        image.save(folder / f'MY_CATALOGUE/images/{i}.jpg')
        lines.append(f'images/{i}.jpg,{4700 + i},Red bag number {i},Bags,Totes,Red,Women,{i}')
        if i < 10:
            image.save(folder / f'MY_PICTURES/{i}.jpg')
    image.save(folder / 'shoe.jpg')
    (folder / 'MY_CATALOGUE/products.csv').write_text('\n'.join(lines))
    train_tokenizer([*lines, 'blue leather shoes'], folder / 'words', 200)
    out = write_small_model(folder / 'MY_MODEL', folder / 'words', itc=True)
    (folder / 'MY_RECOGNITION').symlink_to(out)
    Search(out, folder / 'MY_INDEX').build(folder / 'MY_CATALOGUE/products.csv')


def examples() -> list[str]:
    """The Python of README and site that uses a model."""
    pages = [ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md'))]
    text = '\n'.join(page.read_text('utf-8') for page in pages)
    blocks = re.findall(r'```python\n(.*?)```', text, re.DOTALL)
    return [block for block in blocks if 'mvlt.apis' in block]


def environment() -> dict[str, str]:
    """No path of the checkout."""
    return {key: value for key, value in os.environ.items() if key != 'PYTHONPATH'}


# a config outside the repository that inherits a packaged one
INHERITED = '''
from pathlib import Path
import mvlt
from mvlt.config import load_config
assert 'environment' in mvlt.__file__ or 'site' in mvlt.__file__, mvlt.__file__
Path('mine.py').write_text("""
from mmengine.config import read_base
with read_base():
    from mvlt.configs.mvlt.pretrain_fashiongen import *
model.backbone.drop_path_rate = 0.3
""")
assert load_config('mine.py').model.backbone.drop_path_rate == 0.3
assert len(mvlt.list_models('mvlt/*')) > 30
print(sum(value.numel() for value in mvlt.get_model('mvlt/pretrain_fashiongen').parameters()))
'''
PRINTED = """
import contextlib, io, time
started, output = time.perf_counter(), io.StringIO()
with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
    from mvlt.apis import MatchingInferencer
print(f'{time.perf_counter() - started:.2f} s to import')
assert output.getvalue() == ''
"""


if __name__ == '__main__':
    main()
