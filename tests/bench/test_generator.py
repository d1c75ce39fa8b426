"""The load generator must see what goes wrong: a figure from one that doesn't is worth nothing."""

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.sync.server import Server, ServerConnection, serve

from bench.generator import Generator, GeneratorFailed, Load
from bench.servers import PROTOTYPE, look

pytestmark = pytest.mark.skipif(
    not (shutil.which("cc") or shutil.which("gcc")), reason="the load generator needs a C compiler"
)

BRIEF = Load(depth=8, seconds=0.1, warmup=0.0)


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Generator:
    return Generator(tmp_path_factory.mktemp("generator"))


class Liar:
    """Answers every call with one text, made from the call's number."""

    def __init__(self, template: str) -> None:
        self.template = template

    def __call__(self, connection: ServerConnection) -> None:
        for number, _ in enumerate(connection):
            connection.send(self.template.replace("NUMBER", str(number)))


@pytest.fixture
def lying(request: pytest.FixtureRequest) -> Iterator[int]:
    server: Server
    with serve(Liar(request.param), "127.0.0.1", 0, compression=None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.socket.getsockname()[1]
        server.shutdown()
        thread.join()


def test_acknowledged_increments_are_what_is_stored_after_sigkill(
    generator: Generator, tmp_path: Path
) -> None:
    with PROTOTYPE.running(tmp_path / "data") as server:
        result = generator.run(server.port, BRIEF)
        server.kill()
    assert result.exact
    assert result.all_replies >= result.replies > 0
    with PROTOTYPE.running(tmp_path / "data") as server:
        assert f'"o":{result.all_replies}}}'.encode() in look(server.port)


@pytest.mark.parametrize(
    "lying", ['{"body":{"ro":{"i":NUMBER,"o":7}}}'], indirect=True, ids=["the same result again"]
)
def test_a_result_given_twice_is_a_failure(generator: Generator, lying: int) -> None:
    with pytest.raises(GeneratorFailed, match="lost or ran twice"):
        generator.run(lying, BRIEF)


@pytest.mark.parametrize(
    ("lying", "words"),
    [
        ('{"body":{"re":{"i":NUMBER,"c":"busy","m":"no"}}}', "refused"),
        ('{"body":{"ro":{"i":0,"o":NUMBER}}}', "not in flight"),
        ('{"body":{"ro":{"i":NUMBER}}}', "without an output"),
        ('{"body":{"hi":{}}}', "unexpected frame"),
    ],
    indirect=["lying"],
)
def test_a_wrong_answer_is_a_failure(generator: Generator, lying: int, words: str) -> None:
    with pytest.raises(GeneratorFailed, match=words):
        generator.run(lying, BRIEF)
