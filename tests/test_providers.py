import pytest

from flowground.errors import ProviderRefused
from flowground.providers import Providers
from flowground.settings import ProviderSettings, Settings


def test_an_unknown_provider_names_the_nearest_and_what_to_do() -> None:
    with pytest.raises(ProviderRefused) as refused:
        Providers(Settings()).resolve("scriptet:echo")
    assert refused.value.message == "There is no provider 'scriptet' (did you mean scripted?)"
    assert refused.value.hint == "Add it under `providers:` in config.yaml. Known now: local, ollama, openai, scripted."


def test_a_provider_without_a_model_is_refused() -> None:
    with pytest.raises(ProviderRefused) as refused:
        Providers(Settings()).resolve("ollama")
    assert refused.value.hint == "Write `model: ollama:NAME`, with the model's name."


def test_an_entry_that_says_nothing_is_refused() -> None:
    with pytest.raises(ProviderRefused) as refused:
        Providers(Settings(providers={"mine": ProviderSettings()})).resolve("mine:model")
    assert refused.value.message == "The provider 'mine' has neither `type` nor `base_url`."
