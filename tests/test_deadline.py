"""Contract: work ends once its time is over, of this thread alone."""

from threading import Thread

import pytest

from mvlt.deadline import check, within


def test_work_ends_when_its_time_is_over():
    check()
    with within(60):
        check()
        with within(-1), pytest.raises(TimeoutError):
            check()
        with within(-1):
            other = Thread(target=check)  # it would say so on its own
            other.start()
            other.join()
        check()


def test_an_inner_limit_does_not_lengthen_the_outer_one():
    with within(-1), within(60), pytest.raises(TimeoutError):
        check()
