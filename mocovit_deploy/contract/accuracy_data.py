"""Labelled images, and the original network's answers for them, computed once for all files of a model."""

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
    """Labelled images, and the network that files are compared with."""

    name: str
    """The source of the images: a folder, an .npz, or package.module:function."""
    original_spec: ModelSpec | None
    """The network; None if no bound needs its answers."""
    _images: dict[_Asked, Labelled] = field(default_factory=dict)
    _answers: dict[_Asked, Classes] = field(default_factory=dict)

    def labelled(self, image: InputSpec, images: int | None, known: KnownClasses) -> Labelled:
        """The first `images` of them (None: all), prepared for the input `image`.

        Raises the errors of `read_labelled`.
        """
        asked = (image, images, known)
        if asked not in self._images:
            self._images[asked] = read_labelled(self.name, image, images, known)
        return self._images[asked]

    def original(self, image: InputSpec, images: int | None, known: KnownClasses) -> Classes:
        """The class that the original network answers for each image, (images,).

        Raises `MissingToolError` without torch, `UsageError` if no network was given.
        """
        if self.original_spec is None:
            raise UsageError(f"{self.name}: the network that the files were made from was not given")
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
