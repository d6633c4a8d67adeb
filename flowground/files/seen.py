"""Whether the models that a flow shows its files see pictures: said before anything is stored or asked."""

from collections.abc import Collection

from flowground.components.base import Models
from flowground.errors import ProviderError
from flowground.files import FileRefused
from flowground.values import FileReference
from flowground.wiring import WiredFlow

NO_IMAGES = "The model of this flow sees no images."


def may_see_images(wired: WiredFlow, models: Models) -> bool:
    """False where files are shown to models, and none of them sees images."""
    shown = [
        component.list_models()
        for name, component in wired.components.items()
        if component.list_models() and "files" in wired.connections.get(name, {})
    ]
    return not shown or any(_may_see(models, model) for named in shown for model in named)


def refuse_images(wired: WiredFlow, models: Models, files: Collection[FileReference]) -> None:
    """Raises FileRefused."""
    if any(is_image(file.media_type) for file in files) and not may_see_images(wired, models):
        raise FileRefused(NO_IMAGES, hint="Send the message without them.")


def is_image(media_type: str) -> bool:
    return media_type.startswith("image/")


def _may_see(models: Models, named: str | None) -> bool:
    try:
        provider, model = models.resolve(named)
    except ProviderError:
        return True  # the run itself says what is wrong with it
    return provider.takes(model).images
