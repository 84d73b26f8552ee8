"""Contract: work ends at its deadline, in this thread only."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from mvlt.deadline import check, within


def test_work_ends_when_its_time_is_over():
    check()
    with within(60):
        check()
        with within(-1), pytest.raises(TimeoutError):
            check()
        with within(-1), ThreadPoolExecutor(1) as pool:
            pool.submit(check).result(10)  # another thread has time
        check()


def test_an_inner_limit_does_not_lengthen_the_outer_one():
    with within(-1), within(60), pytest.raises(TimeoutError):
        check()
