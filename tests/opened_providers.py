"""The providers of some settings, as the runtime opens them."""

from flowground.providers import Providers
from flowground.settings import Settings

_DEFAULTS = Settings()


def open_providers(settings: Settings = _DEFAULTS) -> Providers:
    return Providers(
        settings.providers,
        default_model=settings.default_model,
        folder=settings.data / "models",
    )
