"""Labelled images and what the original network says of them: asked once for all files of a model."""

from __future__ import annotations

from dataclasses import dataclass, field

from mocovit_deploy.accuracy.evaluate import Classes
from mocovit_deploy.accuracy.folder import KnownClasses
from mocovit_deploy.accuracy.labelled import Labelled, read_labelled
from mocovit_deploy.errors import UsageError
from mocovit_deploy.extras import import_torch
from mocovit_deploy.spec import InputSpec, ModelSpec

_Asked = tuple[InputSpec, int | None, KnownClasses]


@dataclass
class AccuracyData:
    """The images that `name` names (a function or an .npz), and the network that files are held against."""

    name: str
    original_spec: ModelSpec | None
    """None if no bound needs its answers."""
    _images: dict[_Asked, Labelled] = field(default_factory=dict)
    _answers: dict[_Asked, Classes] = field(default_factory=dict)

    def labelled(self, image: InputSpec, images: int | None, known: KnownClasses) -> Labelled:
        """The first `images` of them (None: all), made for `image`; raises like `read_labelled`."""
        asked = (image, images, known)
        if asked not in self._images:
            self._images[asked] = read_labelled(self.name, image, images, known)
        return self._images[asked]

    def original(self, image: InputSpec, images: int | None, known: KnownClasses) -> Classes:
        """The class the original network names for each; `MissingToolError` where torch is not installed."""
        if self.original_spec is None:
            raise UsageError(f"{self.name}: nobody said which network the files were made from")
        key = (image, images, known)
        if key not in self._answers:
            import_torch()
            from mocovit_deploy.accuracy.answers import network_answers
            from mocovit_deploy.models.load import load_network

            asked = self.labelled(image, images, known)
            network = load_network(self.original_spec)
            tensors = asked.tensors(image.preprocessing)
            self._answers[key] = network_answers(
                network.module, tensors, len(asked.labels), network.input.dtype
            )
        return self._answers[key]
