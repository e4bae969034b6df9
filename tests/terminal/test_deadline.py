"""A deadline that ends what it encloses, and leaves signals as they were."""

import signal
import time

import pytest

from mocovit_deploy.terminal.deadline import OverdueError, deadline


def test_it_ends_what_takes_longer_and_cleans_up():
    ended = []
    with pytest.raises(OverdueError, match="within its deadline of 0.05 s"), deadline(0.05):
        try:
            time.sleep(30)
        finally:
            ended.append(True)
    assert ended


@pytest.mark.parametrize("seconds", [None, 30])
def test_what_ends_in_time_is_left_alone_and_so_is_the_alarm(seconds):
    before = signal.getsignal(signal.SIGALRM)
    with deadline(seconds):
        assert (signal.getsignal(signal.SIGALRM) is before) == (seconds is None)
    assert signal.getsignal(signal.SIGALRM) is before
