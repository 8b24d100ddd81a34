"""What tests of Cloudflare projects share: the project that a test file is named for, running."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cloudflare.projects import FOLDER, Project


@pytest.fixture(scope="module")
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The project `projects/<name>` of the file `test_<name>.py`, on storage of its own, for all its tests."""
    folder = FOLDER / request.path.stem.removeprefix("test_")
    with Project(folder, tmp_path_factory.mktemp("data")) as running:
        yield running
