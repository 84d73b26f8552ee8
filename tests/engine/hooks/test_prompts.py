"""Contract: a prompt head gets the class names of the training data in every template."""

import torch

from mvlt.engine.hooks.prompts import hand_names
from mvlt.engine.launch import build_runner


def test_names_are_those_of_the_data(small_config, tmp_path):
    """The hook passes them before the first step and skips a missing label."""
    config = small_config(tmp_path, steps=2)
    prompts = dict(
        type='PromptHead', labels=('main_category', 'brand'), templates=('{}', 'a photo of {}')
    )
    config.model.heads.merge(dict(itc=dict(type='ITCHead', dims=8), prompts=prompts))
    config.default_hooks.prompts = dict(type='PromptsHook')
    runner = build_runner(config)
    runner.train()
    head = runner.model.heads.prompts
    dataset = runner.train_loop.dataloader.dataset
    names = dataset.metainfo['main_category']
    assert head._counts == dict(main_category=len(names))
    tokenizer = dataset.dataset.pipeline.tokenize().tokenizer
    plain, photo = head._prompts
    for row, name in enumerate(names):
        assert plain[row][plain[row] >= 0].tolist() == tokenizer.encode(name, 40)
        assert photo[row][photo[row] >= 0].tolist() == tokenizer.encode(f'a photo of {name}', 40)
    hand_names(torch.nn.Linear(1, 1), None)  # a model without such a head needs no names
