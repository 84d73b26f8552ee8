"""Contract: counts of the dataset check equal hand counts."""

from PIL import Image

from mvlt.datasets import Catalogue
from mvlt.tools.inspection import describe, leaks, read_images, short_of_candidates


def _record(product, caption, sub=0):
    return dict(product_id=product, caption=caption, main_category=0, sub_category=sub)


def test_counts_by_hand():
    records = [
        _record('a', 'red'),
        _record('a', 'red'),
        _record('b', 'red', 1),
        _record('c', 'blue sea', 1),
    ]
    names = dict(main_category=('X',), sub_category=('S', 'T'), sub_category_trained=1)
    report = describe(records, names, [1, 1, 1, 2], max_length=1)
    assert (report['rows'], report['products']) == (4, 3)
    assert report['main_category'] == dict(
        unknown=0, classes=1, largest=dict(X=3), single_product=[], unseen=[]
    )
    assert report['sub_category'] == dict(
        unknown=0, classes=2, largest=dict(T=2, S=1), single_product=['S'], unseen=['T']
    )
    assert report['captions_cut'] == 1 and report['caption_length']['max'] == 2
    assert (report['shared_captions'], report['products_sharing']) == (1, 2)


def test_short_of_candidates_by_hand():
    # five in a sub-category, two with the same caption: these have three negatives, the rest four
    records = [_record(str(i), caption) for i, caption in enumerate('aabcd')]
    records += [_record('0', 'a'), _record('z', 'z', sub=1)]
    assert (
        short_of_candidates(records, 4) == 3
    )  # the two with equal captions, and z, which is alone
    assert short_of_candidates(records, 3) == 1
    assert short_of_candidates(records, 5) == 6


def test_leaks():
    splits = dict(train=['a', 'b', 'a'], val=['c'], test=['b', 'a', 'd'])
    assert leaks(splits) == {'train, test': ['a', 'b']}


def test_duplicate_and_unreadable_images(catalogue):
    Image.open(catalogue / 'images/3.png').save(catalogue / 'images/4.png')
    (catalogue / 'images/7.png').write_bytes((catalogue / 'images/8.png').read_bytes()[:60])
    Image.new('RGB', (10, 90)).save(catalogue / 'images/9.png')
    dataset = Catalogue(
        'products.csv',
        dict(image='image', product_id='id'),
        '{title}',
        'all',
        data_root=str(catalogue),
    )
    for workers in (1, 3):
        scan = read_images(dataset, workers)
        assert len(scan.sizes) == 19 and scan.sizes.count((40, 30)) == 18
        assert (10, 90) in scan.sizes
        assert sorted(count for _, count in scan.digests.values())[-2:] == [1, 2]
        (line,) = scan.unreadable
        assert 'products.csv, row 9: ' in line and '7.png: unreadable image' in line
