"""The harness that all tests stand on (`tests/conftest.py`), tried on tests that misbehave."""

from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"

CASES = """
import asyncio, time, warnings
import hypothesis, hypothesis.strategies as st, pytest

RAN = []

async def test_passes(tmp_path):
    assert tmp_path.exists()
    RAN.append("async")

async def test_leaves_no_task_that_was_told_to_end():
    asyncio.create_task(asyncio.sleep(30)).cancel()

async def test_leaks():
    asyncio.create_task(asyncio.sleep(30), name="the leak")

@pytest.mark.deadline(0.1)
async def test_hangs():
    await asyncio.Event().wait()

async def test_own_timeout_is_its_own():
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await asyncio.sleep(30)

async def test_callback_raises():
    asyncio.get_running_loop().call_soon(lambda: 1 / 0)
    await asyncio.sleep(0.01)

@hypothesis.settings(max_examples=5)
@hypothesis.given(st.integers())
async def test_examples(number):
    RAN.append(number)

def test_all_ran():
    assert RAN[0] == "async" and len(RAN) > 3
"""


@pytest.fixture
def outcome(pytester: pytest.Pytester) -> pytest.RunResult:
    pytester.makeconftest(CONFTEST.read_text())
    folder = pytester.mkdir("tests") / "part"
    folder.mkdir()
    (folder / "test_cases.py").write_text(CASES)
    pytester.makeini("[pytest]\nmarkers = deadline(seconds)\nfilterwarnings = error\n")
    return pytester.runpytest_subprocess("-p", "no:cacheprovider")


def test_misbehaviour_fails_and_the_rest_passes(outcome: pytest.RunResult) -> None:
    outcome.assert_outcomes(passed=5, failed=3)
    outcome.stdout.fnmatch_lines(
        [
            "*The test left tasks running:*",
            "*the leak*",
            "*The test took longer than 0.1 s.*",
            "*The loop met what nobody handled:*",
            "*ZeroDivisionError*",
            "*time by folder*",
            "*5      3       0  tests/part*",
        ]
    )


def test_a_blocked_test_is_stopped(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        CONFTEST.read_text().replace("BLOCKED_GRACE_S = 5.0", "BLOCKED_GRACE_S = 0.1")
    )
    pytester.makepyfile(
        """
        import time, pytest

        @pytest.mark.deadline(0.1)
        def test_blocks():
            time.sleep(30)

        @pytest.mark.deadline(0.1)
        async def test_blocks_its_loop():
            time.sleep(30)
        """
    )
    pytester.makeini("[pytest]\nmarkers = deadline(seconds)\n")
    outcome = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    outcome.assert_outcomes(failed=2)
    outcome.stdout.fnmatch_lines(["*The test was still running after 0.2 s, at *"])
