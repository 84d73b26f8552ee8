"""Contract: the demo does again what was cut short or belongs to another checkpoint."""

import torch

from mvlt.tools import demo


def test_a_cut_checkpoint_is_passed_over(tmp_path):
    for iteration in (250, 1000):
        torch.save(dict(a=torch.ones(100)), tmp_path / f'iter_{iteration}.pth')
    cut = tmp_path / 'iter_1400.pth'
    cut.write_bytes((tmp_path / 'iter_1000.pth').read_bytes()[:400])
    (tmp_path / 'last_checkpoint').write_text(str(cut))
    assert demo._is_readable(tmp_path / 'iter_1000.pth')
    assert not demo._is_readable(cut) and not demo._is_readable(tmp_path / 'none.pth')
    demo._pass_over(cut)
    assert not cut.exists()
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / 'iter_1000.pth')
    for path in tmp_path.glob('iter_*.pth'):
        path.unlink()
    demo._pass_over(_touched(cut))
    assert not (tmp_path / 'last_checkpoint').exists()


def test_results_of_another_checkpoint_are_not_reused(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, 'ROOT', tmp_path)
    ran = []

    def run(command, check):
        ran.append(command)
        work_dir = tmp_path / 'retrieval_test'
        work_dir.mkdir(exist_ok=True)
        digest = demo.file_sha256(checkpoint)
        (work_dir / 'results.json').write_text(f'{{"checkpoint_sha256": "{digest}"}}')
        return type('Done', (), dict(returncode=0))

    monkeypatch.setattr(demo.subprocess, 'run', run)
    checkpoint = tmp_path / 'iter_1.pth'
    for content, runs in ((b'first', 1), (b'first', 1), (b'second', 2)):
        checkpoint.write_bytes(content)
        demo.evaluate('retrieval', checkpoint)
        assert len(ran) == runs


def _touched(path):
    path.touch()
    return path
