"""Contract: folders of CLIP, SigLIP and open_clip open at every door, with equal embeddings."""

import json
import shutil
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from mvlt.apis import Search, TextToImageRetrievalInferencer
from mvlt.checkpoints import open_model
from mvlt.checkpoints.folder import read_model_folder
from mvlt.retrieval.encoder import Embedder
from tests.commands import run_here
from tests.foreign_folders import KINDS, LENGTH, write_folder

pytest.importorskip('open_clip', reason="its folders need '.[open_clip]'")
TOOL = 'tools/model_converters/import_folder.py'
RECIPE = 'configs/mvlt/finetune_folder_catalogue.py'
COLOURS, CATEGORIES = ('red', 'blue', 'green', 'black'), ('tote', 'boots', 'hat', 'skirt')
TEXTS = ['Red cotton HAT', 'blue  wool\tscarf!', 'Women’s «green» tote &amp; 2 boots', 'hat ' * 40]


@pytest.fixture(scope='module', params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope='module')
def folders(kind, tmp_path_factory):
    """The library's folder, and ours of it."""
    root = tmp_path_factory.mktemp(kind)
    theirs = write_folder(kind, root / 'theirs')
    done = run_here(TOOL, theirs, root / 'ours', '--licence', 'MIT')
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('largest difference from the library') == 2
    return theirs, root / 'ours'


@pytest.fixture(scope='module')
def shop(tmp_path_factory):
    """32 products with the columns that the catalogue's configs name."""
    root = tmp_path_factory.mktemp('shop')
    (root / 'images').mkdir()
    lines = ['id,image,productDisplayName,subCategory,articleType,baseColour,gender']
    rng = np.random.default_rng(0)
    for i in range(32):
        noise = rng.integers(0, 256, (45, 36, 3), dtype=np.uint8)
        Image.fromarray(noise).save(root / f'images/{i}.png')
        colour, category = COLOURS[i % 4], CATEGORIES[i // 4 % 4]
        facts = f'Things,{category},{colour},{"Men" if i % 2 else "Women"}'
        lines.append(f'{i},images/{i}.png,{colour} {category} {i},{facts}')
    (root / 'products.csv').write_text('\n'.join(lines))
    return root


def _of_library(kind, folder, images, texts):
    """Embeddings by the library's own processor, tokenizer and model."""
    with torch.no_grad():
        if kind in ('open_clip', 'marqo'):
            import open_clip

            model, transform = open_clip.create_model_from_pretrained(f'local-dir:{folder}')
            tokenizer = open_clip.get_tokenizer(f'local-dir:{folder}')
            embeds = (
                model.eval().encode_image(torch.stack([transform(image) for image in images])),
                model.encode_text(tokenizer(texts)),
            )
        else:
            from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

            model = AutoModel.from_pretrained(folder).eval()
            processor = AutoImageProcessor.from_pretrained(folder, use_fast=False)
            pixels = processor(images=images, return_tensors='pt')
            padding = 'longest' if kind == 'clip' else 'max_length'
            ids = AutoTokenizer.from_pretrained(folder)(
                texts, padding=padding, max_length=LENGTH, truncation=True, return_tensors='pt'
            )
            embeds = (
                model.get_image_features(**pixels),
                model.get_text_features(input_ids=ids.input_ids),
            )
    return [F.normalize(embed, dim=-1).numpy() for embed in embeds]


def test_embeddings_are_the_library_s(kind, folders):
    """Odd sizes for resizing and crops; texts of every habit: case, HTML, quotes, length."""
    theirs, ours = folders
    rng = np.random.default_rng(0)
    sizes = [(41, 60), (64, 37), (33, 33)]
    if kind == 'siglip2':  # mvlt reads squares
        sizes = [(40, 40), (64, 64), (33, 33)]
    arrays = [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]
    texts = [text.lower() for text in TEXTS] if kind == 'siglip2' else TEXTS
    images, captions = _of_library(kind, theirs, [*map(Image.fromarray, arrays)], texts)
    embedder = Embedder(open_model(ours))
    our_images = embedder.embed_images([embedder.pixels(array) for array in arrays])
    our_captions = embedder.embed_texts(embedder.tokens(TEXTS))
    for name, ours_, theirs_ in (
        ('images', our_images, images),
        ('texts', our_captions, captions),
    ):
        difference = np.abs(ours_ - theirs_)
        print(f'{kind} {name}: max {difference.max():.1e}, mean {difference.mean():.1e}')
        assert difference.max() < 1e-5
        assert np.abs(theirs_[0] - theirs_[1]).max() > 1e-3  # not one embedding for all


def test_the_head_has_the_library_s_scale(kind, folders):
    """And its bias; the folder names no path and no code."""
    theirs, ours = folders
    if kind in ('open_clip', 'marqo'):
        import open_clip

        model, _ = open_clip.create_model_from_pretrained(f'local-dir:{theirs}')
    else:
        from transformers import AutoModel

        model = AutoModel.from_pretrained(theirs)
    head = open_model(ours).model.head('itc')
    assert head.logit_scale.item() == model.logit_scale.item()
    assert head.form == ('softmax' if getattr(model, 'logit_bias', None) is None else 'sigmoid')
    if head.bias is not None:
        assert head.bias.item() == model.logit_bias.item()
    stored = (ours / 'config.json').read_text()
    assert str(theirs) not in stored and 'auto_map' not in stored and 'name_or_path' not in stored


def test_every_door(kind, folders, shop, tmp_path):
    """Check, index, search, service, page, protocols, export and fine-tuning."""
    ours = folders[1]
    data = ('--data-root', shop)
    whole = ('--cfg-options', 'test_dataloader.dataset.split=all')
    checked = run_here('tools/check_dataset.py', RECIPE, '--from', ours, *data)
    assert checked.returncode == 0 and 'training can start' in checked.stdout, checked.stderr

    built = run_here('tools/build_index.py', ours, shop, tmp_path / 'index')
    assert '32 images embedded' in built.stdout, built.stderr
    opened = open_model(ours)
    lance = Search(opened, tmp_path / 'index', shop, show_progress=False)
    rows = [row['product_id'] for row in lance('red tote', topk=5)]
    images = TextToImageRetrievalInferencer(opened, show_progress=False).read(shop)
    (best,) = images('red tote', topk=5)['predictions']
    assert len(rows) == 5 and [row['product_id'] for row in best] == rows

    service = pytest.importorskip('projects.search_service.app', reason="needs '.[serve]'")
    client = pytest.importorskip('fastapi.testclient').TestClient(
        service.create_app(service.BatchedSearch(opened, lance.index, shop), service.Settings())
    )
    answer = client.post('/search', json=dict(text='red tote', topk=5)).json()['results']
    assert [row['product_id'] for row in answer] == rows
    page = pytest.importorskip('projects.web_demo.page', reason="needs '.[web]'")
    shown, _, _ = page.Page([str(ours)], shop, index=lance.location).search('red tote')
    captions = [text.partition('  ')[2] for _, text in shown[:5]]
    assert captions == [row['caption'] for row in best]

    for protocol in ('retrieval_search', 'retrieval_attribute_queries'):
        config = f'configs/mvlt/{protocol}_catalogue.py'
        done = run_here('tools/test.py', config, ours, *data, '--work-dir', tmp_path / 't', *whole)
        assert done.returncode == 0, done.stderr[-2000:]
    pytest.importorskip('onnxscript', reason="exporting needs '.[export]'")
    done = run_here(
        *('tools/export.py', ours, tmp_path / 'onnx', '--pairs', shop / 'products.csv'),
        *('--count', 8, '--seconds', 0.01),
    )
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads((tmp_path / 'onnx/comparison.json').read_text())
    assert {*report} == {'image_encoder', 'text_encoder'}


def test_fine_tuning_resumes_and_is_published(kind, folders, shop, tmp_path):
    """Two steps from the folder, a third after a resume; the result is a folder like the first."""
    ours = folders[1]
    small = ('train_dataloader.batch_size=8', 'param_scheduler.warmup.end=1', 'val_cfg=None')
    small = ('--cfg-options', *small, 'param_scheduler.decay.begin=1')
    small += ('default_hooks.checkpoint.interval=1',)
    data = ('--data-root', shop, '--work-dir', tmp_path / 'work')
    first = (RECIPE, *data, '--from', ours, *small, 'train_cfg.max_iters=2')
    done = run_here('tools/train.py', *first)
    assert done.returncode == 0, done.stderr[-2000:]
    done = run_here('tools/train.py', RECIPE, *data, '--resume', *small, 'train_cfg.max_iters=3')
    assert done.returncode == 0, done.stderr[-2000:]
    done = run_here(
        'tools/model_converters/publish.py', tmp_path / 'work/iter_3.pth', tmp_path / 'tuned'
    )
    assert done.returncode == 0, done.stderr[-2000:]
    before, after = (read_model_folder(folder).description for folder in (ours, tmp_path / 'tuned'))
    assert after.model == before.model and after.preprocessing == before.preprocessing
    old, new = (open_model(folder).model.state_dict() for folder in (ours, tmp_path / 'tuned'))
    moved = [(new[name] - value).abs().max().item() for name, value in old.items()]
    assert 0 < max(moved) < 1e-3  # starts there and moves slowly


def _broken(folder, **changes):
    """Write a folder of transformers and change keys of its JSON files."""
    write_folder('clip', folder)
    for name, values in changes.items():
        path = folder / f'{name}.json'
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    return folder


@pytest.mark.parametrize(
    ('change', 'says'),
    [
        (lambda f: shutil.rmtree(f), 'no such folder'),
        (lambda f: (f / 'config.json').unlink(), 'neither config.json'),
        (lambda f: (f / 'preprocessor_config.json').unlink(), 'preprocessor_config.json: no such'),
        (lambda f: (f / 'model.safetensors').unlink(), 'no weights'),
        (lambda f: (f / 'config.json').write_text('{"model_type": "bert"}'), "model_type 'bert'"),
        (lambda f: (f / 'config.json').write_text('{'), 'not JSON'),
        (lambda f: [x.unlink() for x in f.glob('*') if 'token' in x.name], 'tokenizer'),
    ],
)
def test_other_folders_are_refused(tmp_path, change, says):
    """In one line that names the file."""
    folder = _broken(tmp_path / 'theirs')
    for name in ('vocab.json', 'merges.txt'):
        (folder / name).unlink()
    change(folder)
    done = run_here(TOOL, folder, tmp_path / 'ours')
    assert done.returncode and says in done.stderr and str(folder) in done.stderr, done.stderr
    assert not (tmp_path / 'ours').exists()


@pytest.mark.parametrize(
    ('file', 'values', 'says'),
    [
        ('config', dict(auto_map={'AutoModel': 'x.Y'}), 'custom code'),
        ('preprocessor_config', dict(auto_map={'AutoImageProcessor': 'x.Y'}), 'custom code'),
        ('tokenizer_config', dict(auto_map={'AutoTokenizer': 'x.Y'}), 'custom code'),
        ('preprocessor_config', dict(do_normalize=False), 'do_normalize'),
        ('preprocessor_config', dict(rescale_factor=1.0), 'rescale_factor'),
        ('preprocessor_config', dict(crop_size=dict(height=40, width=40)), 'shortest_edge'),
    ],
)
def test_settings_that_mvlt_cannot_follow_are_refused(tmp_path, file, values, says):
    folder = _broken(tmp_path / 'theirs', **{file: values})
    done = run_here(TOOL, folder, tmp_path / 'ours')
    assert done.returncode and says in done.stderr and file.partition('_')[0] in done.stderr


@pytest.mark.parametrize(
    ('change', 'says'),
    [
        (lambda c: c['model_cfg'].update(multimodal_cfg={}), 'CoCa'),
        (lambda c: c['model_cfg']['text_cfg'].update(hf_model_name='roberta'), 'hf_model_name'),
        (lambda c: c['preprocess_cfg'].update(resize_mode='longest'), "resize_mode 'longest'"),
        (lambda c: c.pop('model_cfg'), 'no model_cfg'),
    ],
)
def test_open_clip_folders_that_are_refused(tmp_path, change, says):
    folder = write_folder('open_clip', tmp_path / 'theirs')
    path = folder / 'open_clip_config.json'
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config))
    done = run_here(TOOL, folder, tmp_path / 'ours')
    assert done.returncode and says in done.stderr and str(path) in done.stderr, done.stderr


def test_a_missing_open_clip_is_named(tmp_path, monkeypatch):
    folder = write_folder('open_clip', tmp_path / 'theirs')
    monkeypatch.setitem(sys.modules, 'open_clip', None)
    done = run_here(TOOL, folder, tmp_path / 'ours')
    assert done.returncode and "pip install 'mvlt[open_clip]'" in done.stderr
