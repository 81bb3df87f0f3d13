"""The networks of the emoji case, by their configurations: a small Stable Diffusion, two scorers and judges.

References: Rombach et al., 2022, arXiv:2112.10752 (the pipeline); Radford et al., 2021, arXiv:2103.00020 (scorers).
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

TOKENS = 24  # of a prompt, padding included
VOCABULARY = 1024
VAE = {
    "sample_size": 32,
    "block_out_channels": (24, 48, 64),
    "down_block_types": ("DownEncoderBlock2D",) * 3,
    "up_block_types": ("UpDecoderBlock2D",) * 3,
    "layers_per_block": 1,
    "norm_num_groups": 8,
    "latent_channels": 4,
    "force_upcast": False,
}
UNET = {
    "sample_size": 8,
    "in_channels": 4,
    "out_channels": 4,
    "block_out_channels": (64, 128),
    "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    "layers_per_block": 1,
    "norm_num_groups": 16,
    "attention_head_dim": 8,
    "cross_attention_dim": 128,
}
TEXT: dict[str, Any] = {
    "hidden_size": 128,
    "intermediate_size": 512,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "projection_dim": 128,
    "max_position_embeddings": TOKENS,
    "vocab_size": VOCABULARY,
    "bos_token_id": VOCABULARY - 2,
    "eos_token_id": VOCABULARY - 1,
    "pad_token_id": VOCABULARY - 1,
}
HELD_OUT_TEXT: dict[str, Any] = {**TEXT, "hidden_size": 96, "intermediate_size": 384, "num_hidden_layers": 3}


def vocabulary(texts: Iterable[str], folder: Path) -> None:
    """Byte pairs merged over the texts, as files that `CLIPTokenizer` reads: vocab.json and merges.txt.

    The tokens are the printable letters, each alone and at the end of a word, then the merges, then begin and end.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    letters = [chr(code) for code in range(33, 127)]
    base = [*letters, *(f"{letter}</w>" for letter in letters)]
    tool = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    tool.pre_tokenizer = pre_tokenizers.Whitespace()  # type: ignore[assignment]
    trainer = trainers.BpeTrainer(vocab_size=4096, end_of_word_suffix="</w>", show_progress=False, min_frequency=2)
    tool.train_from_iterator(texts, trainer)
    merges = [tuple(pair) for pair in json.loads(tool.to_str())["model"]["merges"]][: VOCABULARY - 2 - len(base)]
    tokens = list(dict.fromkeys([*base, *("".join(pair) for pair in merges)]))
    tokens += [f"<|unused{i}|>" for i in range(VOCABULARY - 2 - len(tokens))]
    ids = {token: number for number, token in enumerate([*tokens, "<|startoftext|>", "<|endoftext|>"])}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(ids))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))


def tokenizer(folder: Path) -> Any:
    """The `CLIPTokenizer` of those files."""
    from transformers import CLIPTokenizer

    return CLIPTokenizer.from_pretrained(folder, model_max_length=TOKENS)


def ids_of(tool: Any, texts: Sequence[str]) -> Tensor:
    """(n, TOKENS) token numbers, padded and cut."""
    return tool(list(texts), padding="max_length", max_length=TOKENS, truncation=True, return_tensors="pt").input_ids


def vae() -> Any:
    """`AutoencoderKL`, 32x32x3 to 8x8x4."""
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    return AutoencoderKL(**VAE)  # type: ignore[arg-type]


def unet() -> Any:
    """`UNet2DConditionModel` in Stable Diffusion's layout, predicting the noise."""
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    return UNet2DConditionModel(**UNET)  # type: ignore[arg-type]


def text_encoder(config: dict[str, Any] | None = None) -> Any:
    """`CLIPTextModel`."""
    from transformers import CLIPTextConfig, CLIPTextModel

    return CLIPTextModel(CLIPTextConfig(**(config or TEXT)))


class Residual(nn.Module):
    """Two convolutions with a shortcut, halving the picture."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.GroupNorm(8, before),
            nn.SiLU(),
            nn.Conv2d(before, after, 3, stride=2, padding=1),
            nn.GroupNorm(8, after),
            nn.SiLU(),
            nn.Conv2d(after, after, 3, padding=1),
        )
        self.shortcut = nn.Conv2d(before, after, 1, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """(b, before, h, w) -> (b, after, h / 2, w / 2)."""
        return self.body(x) + self.shortcut(x)


class ImageEncoder(nn.Module):
    """Pictures (b, 3, 32, 32) in [-1, 1] to unit vectors (b, width): residual stages, then a mean over places."""

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, channels[0], 3, padding=1)
        self.stages = nn.Sequential(*(Residual(a, b) for a, b in zip(channels, channels[1:], strict=False)))
        self.last = nn.Sequential(nn.GroupNorm(8, channels[-1]), nn.SiLU(), nn.Flatten(), nn.LazyLinear(width))

    def features(self, x: Tensor) -> list[Tensor]:
        """The maps after each stage."""
        found, x = [], self.first(x)
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return found

    def forward(self, x: Tensor) -> Tensor:
        """Unit vectors."""
        return functional.normalize(self.last(self.features(x)[-1]), dim=-1)


class PatchEncoder(nn.Module):
    """The same with another architecture: a transformer over patches of 4x4 after one convolution."""

    def __init__(self, width: int, depth: int = 4, inner: int = 128, heads: int = 4) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), nn.GELU(), nn.Conv2d(32, inner, 4, stride=4))
        self.places = nn.Parameter(torch.randn(64, inner) * 0.02)
        layer = nn.TransformerEncoderLayer(inner, heads, 2 * inner, 0.0, "gelu", batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.last = nn.Sequential(nn.LayerNorm(inner), nn.Linear(inner, width))

    def forward(self, x: Tensor) -> Tensor:
        """Unit vectors."""
        found = self.blocks(self.first(x).flatten(2).transpose(1, 2) + self.places)
        return functional.normalize(self.last(found.mean(1)), dim=-1)


class Scorer(nn.Module):
    """A CLIP-like pair: how well a picture and a caption go together, scale <image, text>."""

    def __init__(self, text: Any, image: nn.Module, width: int = 128) -> None:
        super().__init__()
        self.text, self.image = text, image
        self.project = nn.Linear(text.config.hidden_size, width, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(2.66))  # exp: 14.3, as CLIP begins

    def embed_text(self, ids: Tensor) -> Tensor:
        """Unit vectors of captions (b, TOKENS)."""
        return functional.normalize(self.project(self.text(ids).pooler_output), dim=-1)

    def forward(self, x: Tensor, ids: Tensor) -> Tensor:
        """Logits (b, b): picture i with caption j."""
        return self.log_scale.exp().clamp(max=100) * self.image(x) @ self.embed_text(ids).T


def scorer(held_out: bool = False) -> Scorer:
    """The scorer that rewards, with the pipeline's text encoder; or the one that judges, with another architecture."""
    if held_out:
        return Scorer(text_encoder(HELD_OUT_TEXT), PatchEncoder(128))
    return Scorer(text_encoder(), ImageEncoder((32, 48, 64, 96, 128), 128))


def recogniser(number: int) -> ImageEncoder:
    """One of three, each with its own width: the same concept in another style is near."""
    channels = ((24, 48, 72, 96), (32, 48, 64, 128), (24, 40, 64, 96, 128))[number]
    return ImageEncoder(channels, 128)


class StyleClassifier(nn.Module):
    """Which of the two styles a picture has: logits (b, 2)."""

    def __init__(self, channels: Sequence[int] = (16, 32, 64)) -> None:
        super().__init__()
        self.body = ImageEncoder(channels, 32)
        self.head = nn.Linear(32, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        return self.head(10 * self.body(x))


def make(name: str) -> nn.Module:
    """The network of a training stage, its lazy layers built."""
    if name in ("vae", "unet"):
        return vae() if name == "vae" else unet()
    x, ids = torch.zeros(1, 3, 32, 32), torch.zeros(1, TOKENS, dtype=torch.long)
    if name.endswith("scorer"):
        pair = scorer(held_out=name == "held-out-scorer")
        pair(x, ids)
        return pair
    if name.startswith("recogniser-"):
        network: nn.Module = recogniser(int(name[-1]))
    else:
        network = StyleClassifier() if name == "style" else StyleClassifier((24, 48, 64, 64))
    network(x)
    return network
