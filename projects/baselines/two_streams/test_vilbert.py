"""Contract: ViLBERT trains and ranks; co-attention equals the paper's."""

import torch

from projects.baselines.two_streams.vilbert import CoAttention, TwoStreams

CNN = dict(type='mmpretrain.ResNet', depth=18, stem_channels=8, base_channels=8, out_indices=(3,))


def test_two_steps_and_a_ranking(two_steps):
    model, metrics = two_steps(
        'projects/baselines/two_streams/vilbert_catalogue.py',
        {'model.heads.region_classes.num_clusters': 4},
    )
    assert {'itm', 'mlm', 'region_classes'} <= {*model.heads}
    assert metrics['retrieval/itr/candidates'] == 3


def _attend(layer, queries, context):
    """Multi-head attention by its definition, head by head."""
    dims, heads = layer.embed_dim, layer.num_heads
    weights, biases = layer.in_proj_weight.chunk(3), layer.in_proj_bias.chunk(3)
    q, k, v = (x @ w.T + b for x, w, b in zip((queries, context, context), weights, biases))
    size, heads_output = dims // heads, []
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        logits = q[..., part] @ k[..., part].transpose(1, 2) / size**0.5
        heads_output.append(logits.softmax(-1) @ v[..., part])
    return torch.cat(heads_output, -1) @ layer.out_proj.weight.T + layer.out_proj.bias


def test_co_attention_is_the_papers():
    """Each stream's queries, the other's keys and values (Sec. 2.2)."""
    block = CoAttention(8, 2).eval()
    text, regions = torch.randn(2, 5, 8), torch.randn(2, 3, 8)
    tokens, cells = block.norms[0](text), block.norms[1](regions)
    after = (
        text + _attend(block.across[0], tokens, cells),
        regions + _attend(block.across[1], cells, tokens),
    )
    expected = [
        within(stream + feed(stream))
        for stream, feed, within in zip(after, block.feeds, block.within)
    ]
    for stream, stream in zip(block(text, regions, None), expected):
        torch.testing.assert_close(stream, stream, rtol=1e-4, atol=1e-5)


def test_cls_is_the_product_and_padding_changes_nothing():
    torch.manual_seed(0)
    backbone = TwoStreams(40, dims=16, num_heads=2, cnn=CNN, cnn_dims=64).eval()
    image, ids = torch.randn(2, 3, 64, 64), torch.tensor([[2, 7, 9, 3]] * 2)
    alone = backbone.encode_pair(image, ids)
    padded = torch.nn.functional.pad(ids, (0, 2))
    encoded = backbone.encode_pair(image, padded, padded != 0)
    torch.testing.assert_close(encoded.texts[0][:, :4], alone.texts[0], rtol=1e-4, atol=1e-5)
    assert alone.images[0].shape == (2, 16, 2, 2)
    assert backbone.encode_image(image)[0].shape == (2, 16, 2, 2)
