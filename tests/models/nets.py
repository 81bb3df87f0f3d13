"""Every network class with a known convention, tiny, and how its own pipeline calls it."""

from tests.models.images import IMAGES
from tests.models.unets import UNETS
from tests.models.videos import VIDEOS

NETS = {**UNETS, **IMAGES, **VIDEOS}
