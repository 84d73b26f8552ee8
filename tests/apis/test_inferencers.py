"""Contract: inputs of every kind; predictions equal the model's, in the order of the inputs."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from mvlt.apis import (
    CategoryInferencer,
    FeatureExtractor,
    ImageCompletionInferencer,
    MatchingInferencer,
    TextToImageRetrievalInferencer,
)
from mvlt.checkpoints import open_model
from mvlt.checkpoints.folder import read_model_folder, write_model_folder
from mvlt.datasets.inputs import make_pairs, to_array

RED = np.full((40, 30, 3), (200, 0, 0), np.uint8)
BLUE = np.full((32, 32, 3), (0, 0, 200), np.uint8)


@pytest.fixture(scope='module')
def matching(model_folder):
    return MatchingInferencer(model_folder, device='cpu', show_progress=False)


def predictions(infer, *args, **kwargs):
    return infer(*args, **kwargs)['predictions']


def test_the_package_imports_at_once_and_prints_nothing():
    done = subprocess.run(
        [
            sys.executable,
            '-c',
            "import sys, mvlt.apis; assert 'torch' not in sys.modules; mvlt.apis.FeatureExtractor",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ('', '')


def test_an_unknown_name():
    import mvlt.apis

    with pytest.raises(AttributeError, match='no Matching'):
        _ = mvlt.apis.Matching


def test_all_kinds_of_image_give_the_same_prediction(matching, tmp_path):
    path = tmp_path / 'red.png'
    Image.fromarray(RED).save(path)
    images = [RED, Image.fromarray(RED), path, str(path), np.dstack((RED, RED[..., :1] * 0 + 255))]
    scores = [pred['itm_score'] for pred in predictions(matching, images, 'a red bag')]
    assert len(scores) == 5 and scores == pytest.approx([scores[0]] * 5, abs=1e-6)
    (folder,) = predictions(matching, tmp_path, 'a red bag')
    assert folder['itm_score'] == pytest.approx(scores[0], abs=1e-6)


def test_pairs_and_batches(matching):
    """Predictions do not depend on the batch; a single image or text pairs with all."""
    pairs = [(RED, 'a red bag'), (BLUE, 'boots'), (RED, ''), (BLUE, 'a striped wool tote bag')]
    alone = [predictions(matching, *pair)[0]['itm_score'] for pair in pairs]
    for batch_size in (1, 3, 8):
        images, texts = zip(*pairs)
        together = predictions(matching, list(images), list(texts), batch_size=batch_size)
        assert [pred['itm_score'] for pred in together] == pytest.approx(alone, abs=1e-5)
    assert len(predictions(matching, RED, ['a', 'b', 'c'])) == 3
    assert len(predictions(matching, [RED, BLUE], 'a')) == 2
    assert 0 < alone[0] < 1


def test_wrong_inputs_are_named(matching, tmp_path):
    with pytest.raises(ValueError, match='2 images and 3 texts'):
        make_pairs([RED, BLUE], ['a', 'b', 'c'])
    with pytest.raises(ValueError, match='no image'):
        matching([], 'a')
    with pytest.raises(ValueError, match='no text'):
        matching(RED, [])
    with pytest.raises(TypeError, match='text 1 is a int'):
        matching(RED, ['a', 3])
    with pytest.raises(ValueError, match=r'image 1: an array of float64 \(2, 2, 3\)'):
        matching([RED, np.zeros((2, 2, 3))], 'a')
    with pytest.raises(ValueError, match='5 channels'):
        to_array(np.zeros((2, 2, 5), np.uint8))
    with pytest.raises(TypeError, match='image 0 is a int'):
        matching([3], 'a')
    with pytest.raises(FileNotFoundError, match='no such image'):
        matching(tmp_path / 'none.jpg', 'a')
    with pytest.raises(FileNotFoundError, match='no images in it'):
        matching(tmp_path, 'a')
    (tmp_path / 'bad.jpg').write_bytes(b'no image')
    with pytest.raises(OSError, match='bad.jpg: unreadable'):
        matching(tmp_path, 'a')
    with pytest.raises(TypeError, match='images: None is a NoneType; give a path'):
        matching(None, 'a')
    with pytest.raises(TypeError, match='5 is a int; give a text'):
        matching(RED, 5)
    for wrong in (0, None, '3', True):
        with pytest.raises(ValueError, match=f'batch_size={wrong!r}; give a whole number'):
            matching(RED, 'a', batch_size=wrong)
    with pytest.raises(ValueError, match=r'dtype is an option of MatchingInferencer\('):
        matching(RED, 'a', dtype='bfloat16')
    with pytest.raises(ValueError, match="a call has no option 'topk'; legal: out_dir, show"):
        matching(RED, 'a', topk=3)


def test_visualization(matching, tmp_path):
    result = matching([RED, BLUE], 'a $1 bag', out_dir=tmp_path / 'out')
    assert len(result['visualization']) == 2 and result['visualization'][0].dtype == np.uint8
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == [
        '000000.png',
        '000001.png',
    ]
    with Image.open(tmp_path / 'out/000000.png') as image:
        assert min(image.size) > 100


def test_bfloat16_is_close_and_other_types_are_refused(matching, model_folder):
    half = MatchingInferencer(model_folder, device='cpu', dtype='bfloat16')
    (rounded,), (exact,) = predictions(half, RED, 'a bag'), predictions(matching, RED, 'a bag')
    assert rounded['itm_score'] == pytest.approx(exact['itm_score'], abs=0.02)
    assert rounded['itm_score'] != exact['itm_score']
    with pytest.raises(ValueError, match="dtype='float16'; legal"):
        MatchingInferencer(model_folder, dtype='float16')


def test_datasamples(matching):
    (sample,) = predictions(matching, RED, 'a bag', return_datasamples=True)
    assert sample.caption == 'a bag' and 0 <= sample.itm_score <= 1


def test_only_required_heads_are_built(matching, model_folder):
    assert list(matching.model.heads) == ['itm'] and matching.model.neck is None
    assert not FeatureExtractor(model_folder, device='cpu').model.heads


def test_categories_are_named_most_probable_first(model_folder):
    infer = CategoryInferencer(model_folder, device='cpu')
    (pred,) = predictions(infer, RED, 'a bag')
    assert {label['name'] for label in pred['main_category']} == {'BAGS', 'SHOES'}
    values = [label['probability'] for label in pred['sub_category']]
    assert values == sorted(values, reverse=True) and sum(values) == pytest.approx(1, abs=1e-5)
    (best,) = predictions(infer, RED, topk=1)
    assert [len(labels) for labels in best.values()] == [1, 1]


def test_embeddings_and_similarity(embedding_folder):
    """The same numbers from every inferencer, also for a model without a matching head."""
    image = np.full((40, 30, 3), 90, np.uint8)
    settings = dict(device='cpu', show_progress=False)
    opened = open_model(embedding_folder)
    (features,) = predictions(FeatureExtractor(opened, **settings), image, 'a red bag')
    cosine = float(features['image_embed'] @ features['text_embed'])
    assert float(features['image_embed'].norm()) == pytest.approx(1, abs=1e-5)
    (scores,) = predictions(MatchingInferencer(opened, **settings), image, 'a red bag')
    assert scores['similarity'] == pytest.approx(cosine, abs=1e-5) and 0 < scores['itm_score'] < 1
    alone = opened.description._replace(
        model={**opened.description.model, 'heads': dict(itc=opened.description.heads['itc'])}
    )
    opened = opened._replace(description=alone)
    (scores,) = predictions(MatchingInferencer(opened, **settings), image, 'a red bag')
    assert list(scores) == ['similarity']
    search = TextToImageRetrievalInferencer(opened, **settings).read([image])
    ((best,),) = predictions(search, 'a red bag')
    assert best['score'] == pytest.approx(cosine, abs=1e-5) and 'itm_score' not in best
    with pytest.raises(ValueError, match="rerank='itm' needs a model with a matching head"):
        search('a red bag', rerank='itm')


def test_models_are_listed():
    assert 'mvlt/pretrain_catalogue' in MatchingInferencer.list_models('mvlt/pretrain*')


def test_a_dual_encoder(dual_folder):
    opened, settings = open_model(dual_folder), dict(device='cpu', show_progress=False)
    extract = FeatureExtractor(opened, **settings)
    (features,) = predictions(extract, RED, 'a red bag', stages=True)
    assert set(features) == {'image_embed', 'text_embed', 'images', 'texts'}
    assert features['images'][0].shape == (16, 1, 1) and features['texts'][0].shape[1] == 16
    cosine = float(features['image_embed'] @ features['text_embed'])
    (scores,) = predictions(MatchingInferencer(opened, **settings), RED, 'a red bag')
    assert scores == dict(similarity=pytest.approx(cosine, abs=1e-5))
    (levels,) = predictions(CategoryInferencer(opened, **settings), RED)
    assert set(levels) == {'main_category', 'sub_category'}
    search = TextToImageRetrievalInferencer(opened, **settings).read([RED, BLUE])
    ((best, _),) = predictions(search, 'a red bag')
    assert 'itm_score' not in best
    with pytest.raises(ValueError, match='this model has no head'):
        ImageCompletionInferencer(opened, **settings)


def test_features(model_folder):
    extract = FeatureExtractor(model_folder, device='cpu')
    short, long = predictions(extract, [RED, BLUE], ['a', 'a red striped wool bag'], stages=True)
    assert short['cls'].shape == (32,) and short['cls'].dtype == torch.float32
    assert [tuple(stage.shape) for stage in short['images']] == [
        (8, 8, 8),
        (16, 4, 4),
        (24, 2, 2),
        (32, 1, 1),
    ]
    assert len(short['texts'][3]) < len(long['texts'][3])
    (alone,) = predictions(extract, RED, 'a')
    assert torch.allclose(alone['cls'], short['cls'], atol=1e-5)
    with pytest.raises(ValueError, match='draws nothing'):
        extract(RED, out_dir='anywhere')


class TestCompletion:
    @pytest.fixture(scope='class')
    def complete(self, model_folder):
        return ImageCompletionInferencer(model_folder, device='cpu')

    def test_visible_pixels_stay(self, complete):
        """40 x 32 pixels, units of 8 of the model's 32: each is 10 x 8 pixels of the image."""
        image = np.random.default_rng(0).integers(0, 256, (40, 32, 3), dtype=np.uint8)
        (pred,) = predictions(complete, image, 'a bag', mask='grid', ratio=0.5)
        assert pred['image'].shape == image.shape and pred['mask'].sum() == 640
        assert (pred['image'][~pred['mask']] == image[~pred['mask']]).all()
        assert (pred['image'][pred['mask']] != image[pred['mask']]).any()
        assert pred['reconstruction'].shape == (32, 32, 3)

    @pytest.mark.parametrize('ratio', [0, 1])
    def test_all_and_nothing(self, complete, ratio):
        (pred,) = predictions(complete, RED, mask='random', ratio=ratio)
        assert pred['mask'].mean() == ratio
        assert ratio or (pred['image'] == RED).all()

    def test_styles_and_seeds(self, complete):
        for style in ('random', 'grid', 'stroke', 'centre'):
            first, again = (predictions(complete, BLUE, mask=style, seed=3)[0] for _ in range(2))
            assert first['mask'].mean() == 0.5 and (first['mask'] == again['mask']).all()
        other = predictions(complete, BLUE, mask='random', seed=4)[0]
        assert (
            other['mask'] != predictions(complete, BLUE, mask='random', seed=3)[0]['mask']
        ).any()
        with pytest.raises(ValueError, match="mask='ring'; legal: random, grid"):
            complete(BLUE, mask='ring')

    def test_brush_and_box(self, complete):
        """Every unit that the brush touches is masked; only the brushed pixels are replaced."""
        brush = np.zeros((40, 30), dtype=bool)
        brush[0, 0] = True
        (sample,) = predictions(complete, RED, mask=brush, return_datasamples=True)
        assert sample.image_mask.sum() == 1 and sample.image_mask[0, 0]
        (pred,) = predictions(complete, RED, mask=[brush])
        assert (pred['mask'] == brush).all()
        (boxed,) = predictions(complete, RED, box=(10, 20, 99, 40))
        assert boxed['mask'].sum() == 20 * 20 and boxed['mask'][20:, 10:].all()
        pixel = np.zeros((100, 100), dtype=bool)
        pixel[0, 12] = True  # of 4 units of 25 pixels in the first only
        large = np.zeros((100, 100, 3), np.uint8)
        assert (
            predictions(complete, large, mask=pixel, return_datasamples=True)[0].image_mask.sum()
            == 1
        )
        pixel = np.zeros((3, 3), dtype=bool)
        pixel[0, 1] = True  # from 1.33 to 2.67 of 4 units
        (sample,) = predictions(complete, large[:3, :3], mask=pixel, return_datasamples=True)
        assert sample.image_mask[:2, 1:3].all() and sample.image_mask.sum() == 4
        with pytest.raises(ValueError, match='lies outside image 0'):
            complete(RED, box=(50, 0, 60, 5))
        with pytest.raises(ValueError, match=r'is bool \(32, 32\); .*, bool \(40, 30\)'):
            complete(RED, mask=np.ones((32, 32), dtype=bool))
        with pytest.raises(ValueError, match='2 masks for 1 images'):
            complete(RED, mask=[brush, brush])

    def test_a_model_that_was_trained_on_pixels(self, model_folder, tmp_path):
        """Only the painted pixels are masked, and 'stroke' is free-form."""
        folder = read_model_folder(model_folder)
        strokes = folder.description._replace(mask=dict(type='StrokeMask', ratio=None))
        model = write_model_folder(
            tmp_path / 'strokes', strokes, load_file(folder.weights), str(model_folder), ''
        )
        complete = ImageCompletionInferencer(model, device='cpu')
        brush = np.zeros((64, 96), dtype=bool)
        brush[10:12, 30:33] = True  # 2 x 3 pixels of 64 x 96 are one of 32 x 32
        (sample,) = predictions(
            complete, np.zeros((64, 96, 3), np.uint8), mask=brush, return_datasamples=True
        )
        assert sample.image_mask.shape == (32, 32) and sample.image_mask.sum() == 1
        assert sample.image_mask[5, 10]
        (sample,) = predictions(complete, RED, mask='stroke', ratio=0.5, return_datasamples=True)
        assert sample.image_mask.shape == (32, 32) and sample.image_mask.sum() == 512

    def test_a_model_that_crops(self, model_folder, tmp_path):
        """Predictions and masks have the size of the crop."""
        folder = read_model_folder(model_folder)
        cropping = folder.description._replace(
            preprocessing=dict(
                load=dict(type='LoadImage'),
                resize=dict(type='Resize', scale=[40, 40], keep_ratio=False, backend='pillow'),
                crop=dict(type='CenterCrop', crop_size=[32, 32]),
                tokenize=dict(type='Tokenize', max_length=24),
            )
        )
        model = write_model_folder(
            tmp_path / 'crop', cropping, load_file(folder.weights), str(model_folder), ''
        )
        complete = ImageCompletionInferencer(model, device='cpu')
        (pred,) = predictions(complete, RED, mask='grid')
        assert pred['image'].shape == (32, 32, 3) and pred['mask'].mean() == 0.5
        brush = np.zeros((32, 32), dtype=bool)
        brush[:4] = True
        (pred,) = predictions(complete, RED, mask=brush)
        assert (pred['mask'] == brush).all()


def test_wrong_models_are_named(tmp_path):
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'iter_3.pth'))
    (tmp_path / 'empty').mkdir()
    Image.fromarray(RED).save(tmp_path / 'a.jpg')
    for name, error, message in (
        ('nowhere', FileNotFoundError, 'no such model folder, checkpoint or config'),
        ('a.jpg', ValueError, 'is not a model: name a model folder or a .pth'),
        ('empty', ValueError, 'a folder, but no model in it'),
        ('.', ValueError, 'is the work dir of a training: name its checkpoint, .*iter_3.pth'),
    ):
        with pytest.raises(error, match=message):
            MatchingInferencer(tmp_path / name)
    with pytest.raises(FileNotFoundError, match='did you mean mvlt/pretrain_catalogue'):
        MatchingInferencer('mvlt/pretrain_catalog')
