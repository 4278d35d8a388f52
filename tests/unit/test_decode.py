"""Which decoder is chosen, and what is said when the kernel is missing."""

import sys

import pytest

from headrace_writer.core.decode import load_backend, native_backend
from headrace_writer.errors import ConfigError


@pytest.fixture
def no_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """An import of the kernel fails, as where it is not installed."""
    monkeypatch.setitem(sys.modules, "headrace_kernel", None)


def test_auto_takes_the_kernel() -> None:
    loaded = load_backend("auto")
    assert (loaded.backend.name, loaded.fell_back, loaded.reason) == ("native", False, "")


@pytest.mark.usefixtures("no_kernel")
def test_auto_falls_back_and_says_why() -> None:
    loaded = load_backend("auto")
    assert (loaded.backend.name, loaded.fell_back) == ("reference", True)
    assert "pip install ./services/kernel" in loaded.reason


def test_reference_is_no_fallback_when_it_is_asked_for() -> None:
    loaded = load_backend("reference")
    assert (loaded.backend.name, loaded.fell_back) == ("reference", False)


@pytest.mark.usefixtures("no_kernel")
def test_native_without_the_kernel_refuses_to_start() -> None:
    with pytest.raises(ConfigError, match=r"pip install \./services/kernel"):
        load_backend("native")
    with pytest.raises(ImportError):
        native_backend()


def test_an_unknown_choice_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="auto, native, reference"):
        load_backend("fast")  # type: ignore[arg-type]
