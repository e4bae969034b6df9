"""Networks whose types are unusual: pixels as bytes, tokens, other floats, traced modules."""

from __future__ import annotations

import torch
from tiny_networks import alive
from torch import Tensor, nn


class Small(nn.Module):
    """A convolution, a BatchNorm and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 8, 3, 2, 1)
        self.norm = nn.BatchNorm2d(8)
        self.classifier = nn.Linear(8, 5)

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.norm(self.conv(image)).relu().mean((2, 3)))
        return logits


class Bytes(nn.Module):
    """Takes pixels 0..255 as a camera gives them, blue first, and normalises them itself."""

    def __init__(self, shift: int = 0) -> None:
        super().__init__()
        self.net = alive(Small())
        self.shift = shift
        self.example_inputs = (torch.zeros(1, 3, 32, 32, dtype=torch.uint8),)

    def forward(self, image: Tensor) -> Tensor:
        moved = image.flip(1) + self.shift if self.shift else image.flip(1)
        logits: Tensor = self.net((moved.float() - 117.0) / 58.0)
        return logits


class BytesAndTokens(nn.Module):
    """A picture that is no image to the tool (24 x 40), and numbers of words; flags among its outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.net = alive(Small())
        self.words = nn.Embedding(20, 5)
        generator = torch.Generator().manual_seed(0)
        self.example_inputs = {
            "image": torch.randint(256, (1, 3, 24, 40), generator=generator, dtype=torch.uint8),
            "tokens": torch.randint(20, (1, 7), generator=generator),
        }

    def forward(self, image: Tensor, tokens: Tensor) -> dict[str, Tensor]:
        sums = self.net((image.float() - 117.0) / 58.0) + self.words(tokens).mean(1)
        return {"sums": sums, "positive": sums > 0}


class Casting(nn.Module):
    """Weights in bfloat16 that float32 images are cast to by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.net = alive(Small()).bfloat16()

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.net(image.to(torch.bfloat16)).float()
        return logits


class Deciding(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = alive(Small())

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.net(image)
        if bool(logits.sum() > 0):
            logits = 2 * logits
        return logits


class Attention(nn.Module):
    """Tokens with linear layers and a split, as tiny_vit and edgenext have them."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 8, 4, 4)
        self.norm = nn.LayerNorm(8)
        self.qkv = nn.Linear(8, 24)
        self.proj = nn.Linear(8, 8)
        self.head = nn.Linear(8, 5)

    def forward(self, image: Tensor) -> Tensor:
        x = self.stem(image).flatten(2).transpose(1, 2)
        q, k, v = self.qkv(self.norm(x)).reshape(x.shape[0], -1, 2, 12).transpose(1, 2).split([4, 4, 4], 3)
        x = x + self.proj(((q @ k.mT).softmax(-1) @ v).transpose(1, 2).flatten(2))
        logits: Tensor = self.head(nn.functional.gelu(x, approximate="tanh").mean(1))
        return logits


def attention() -> nn.Module:
    return Attention().eval()


def grey() -> nn.Module:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU())
    vars(network)["example_inputs"] = torch.zeros(1, 1, 32, 32)
    return network.eval()


def bytes_alone() -> nn.Module:
    return Bytes().eval()


def bytes_that_wrap() -> nn.Module:
    return Bytes(shift=200).eval()


def bytes_and_tokens() -> nn.Module:
    return BytesAndTokens().eval()


def bfloat16() -> nn.Module:
    return alive(Small()).bfloat16()


def float16() -> nn.Module:
    return alive(Small()).half()


def float64() -> nn.Module:
    network = alive(Small()).double()
    vars(network)["example_inputs"] = torch.zeros(1, 3, 32, 32, dtype=torch.float64)
    return network


def casting() -> nn.Module:
    return Casting().eval()


def traced() -> nn.Module:
    network: nn.Module = torch.jit.trace(alive(Small()), torch.zeros(1, 3, 32, 32))
    return network


def traced_bfloat16() -> nn.Module:
    network: nn.Module = torch.jit.trace(bfloat16(), torch.zeros(1, 3, 32, 32).bfloat16())
    return network


def scripted() -> nn.Module:
    network: nn.Module = torch.jit.script(alive(Small()))
    return network


def frozen() -> nn.Module:
    network: nn.Module = torch.jit.freeze(torch.jit.script(alive(Small())))
    return network


def scripted_decision() -> nn.Module:
    network: nn.Module = torch.jit.script(Deciding().eval())
    return network


def traced_in_training() -> nn.Module:
    network: nn.Module = torch.jit.trace(Small().train(), torch.zeros(2, 3, 32, 32), check_trace=False)
    return network
