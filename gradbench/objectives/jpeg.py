"""The size of an image's JPEG file: a smooth estimate with a gradient, and the size of the real file."""

import io
import math
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradbench import checks

# T.81, tables K.1 and K.2, row by row.
LUMINANCE = (
    *(16, 11, 10, 16, 24, 40, 51, 61),
    *(12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56),
    *(14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77),
    *(24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101),
    *(72, 92, 95, 98, 112, 100, 103, 99),
)
CHROMINANCE = (
    *(17, 18, 24, 47, 99, 99, 99, 99),
    *(18, 21, 26, 66, 99, 99, 99, 99),
    *(24, 26, 56, 99, 99, 99, 99, 99),
    *(47, 66, 99, 99, 99, 99, 99, 99),
    *(99,) * 32,
)
HEADER = 625  # bytes: SOI 2, APP0 18, DQT 2 x 69, SOF0 19, DHT 432 (tables K.3 to K.6), SOS 14, EOI 2
EMPTY_LUMINANCE, EMPTY_CHROMINANCE = 6, 4  # bits of a block of zeros: DC code and end of block
BITS = (3.74, 1.32)  # bits per non-zero coefficient and per doubling, fitted in test_jpeg_fit.py


def quantisation_tables(quality: int) -> Tensor:
    """(2, 8, 8): the tables of luminance and chrominance as libjpeg scales them, integers in [1, 255].

    floor((table s + 50)/100) with s = floor(5000/quality) below quality 50 and 200 - 2 quality from there on.
    """
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    scaled = (min(max((entry * scale + 50) // 100, 1), 255) for entry in (*LUMINANCE, *CHROMINANCE))
    return torch.tensor(list(scaled), dtype=torch.get_default_dtype()).reshape(2, 8, 8)


def dct(planes: Tensor) -> Tensor:
    """The orthonormal DCT-II of 8x8 blocks: (b, 8 m, 8 n) -> (b, m n, 8, 8), blocks in reading order (T.81, A.3.3)."""
    b, h, w = planes.shape
    place = torch.arange(8, dtype=planes.dtype, device=planes.device)
    rows = torch.cos((2 * place + 1) * place[:, None] * math.pi / 16) / 2
    matrix = torch.cat([rows[:1] / math.sqrt(2), rows[1:]])
    blocks = planes.reshape(b, h // 8, 8, w // 8, 8).transpose(2, 3).flatten(1, 2)
    return matrix @ blocks @ matrix.T


def extend(x: Tensor, multiple: int) -> Tensor:
    """x (b, c, h, w) with its last row and column repeated until both sides are multiples."""
    return F.pad(x, (0, -x.shape[-1] % multiple, 0, -x.shape[-2] % multiple), mode="replicate")


def count(blocks: Tensor) -> Tensor:
    """(b, 2): the soft number of non-zero coefficients of a plane (b, n, 8, 8), and of their doublings in size."""
    flat = blocks.flatten(2)
    steps = torch.diff(flat[..., :1], dim=1, prepend=torch.zeros_like(flat[:, :1, :1]))
    squared = torch.cat([steps, flat[..., 1:]], 2).square().flatten(1)
    fourth = (4 * squared).square()
    gate = fourth / (1 + fourth)
    return torch.stack([gate.sum(1), (gate * torch.log2(1 + squared) / 2).sum(1)], 1)


class JPEGSize(nn.Module):
    """objective(x)_b = the size of image b as a JPEG file in kilobytes (1000 bytes), estimated smoothly.

    x: (b, 3, h, w), RGB in [0, 1]. The encoder is followed up to rounding: Y = 0.299 R + 0.587 G + 0.114 B,
    Cb = (B - Y)/1.772, Cr = (R - Y)/1.402 on the scale [0, 255]; with `subsample` the means of 2x2 pixels of Cb and Cr
    (4:2:0, Pillow's default at every quality); edges repeated up to whole blocks; the DCT of 8x8 blocks divided by the
    tables at `quality`; each block's DC minus that of the previous block in reading order. A coefficient z, not
    rounded, costs

        bits(z) = u^4/(1 + u^4) (a + c log2(1 + z^2)/2),   u = 2 z,

    where the first factor, a half at |z| = 1/2, stands for "does not round to zero", and
    8000 objective = 8 HEADER + 6 bits per luminance block + 4 per chrominance block + sum_z bits(z), where an empty
    block's code by T.81's tables K.3 to K.6 is exact. (a, c) = BITS is the least-squares fit of the relative error at
    quality 95 on 80 crops of one photograph, blurred, noisy and flattened to various degrees, and on 60 synthetic
    images; `tests/objectives/test_jpeg_fit.py` repeats it.

    Measured by that test against Pillow's files of images not used in the fit: Spearman's rank correlation, median and
    largest relative error, 80 crops of another photograph | 60 synthetic images, all of 128x128 pixels:

    | quality | crops | synthetic |
    |---|---|---|
    | 95 | 0.9997, 1.6%, 10% | 0.9989, 1.8%, 6% |
    | 75 | 0.9980, 6.2%, 12% | 0.9985, 6.0%, 14% |
    | 50 | 0.9961, 7.6%, 13% | 0.9988, 7.8%, 13% |

    Values outside [0, 1] are not clamped: there the estimate keeps growing with contrast, while the file's size
    (`real_size`) is that of the clamped image. Half precision is computed and returned in float32, also under autocast.
    `ValueError` for a quality outside 1..100 and for anything but images of three channels.

    References: Black et al., 2023, arXiv:2305.13301 (compressibility as a reward, quality 95); Reich et al., 2024,
    arXiv:2309.06978 (differentiable JPEG); ITU-T T.81, 1992, annexes A, F and K; libjpeg's `jcparam.c` (quality).
    """

    def __init__(self, quality: int = 95, subsample: bool = True) -> None:
        super().__init__()
        checks.in_range("quality", checks.positive_integer("quality", quality), 1, 100)
        self.quality, self.subsample = quality, subsample
        self.tables: Tensor
        self.register_buffer("tables", quantisation_tables(quality))

    def coefficients(self, x: Tensor) -> list[Tensor]:
        """The unrounded DCT coefficients of Y, Cb and Cr divided by their tables, each (b, blocks, 8, 8)."""
        red, green, blue = (255 * x).unbind(1)
        luma = 0.299 * red + 0.587 * green + 0.114 * blue
        chroma = torch.stack([(blue - luma) / 1.772, (red - luma) / 1.402], 1)
        chroma = F.avg_pool2d(extend(chroma, 16), 2) if self.subsample else extend(chroma, 8)
        planes = (extend(luma[:, None] - 128, 8)[:, 0], *chroma.unbind(1))
        return [dct(plane) / self.tables[min(i, 1)] for i, plane in enumerate(planes)]

    def features(self, x: Tensor) -> Tensor:
        """(b, 3): the bits of a file without coefficients, the soft number of non-zeros, their doublings."""
        parts = self.coefficients(x)
        chroma_blocks = parts[1].shape[1]
        luma_blocks = chroma_blocks * (4 if self.subsample else 1)  # an encoder pads the last 16x16 units
        empty = 8 * HEADER + EMPTY_LUMINANCE * luma_blocks + EMPTY_CHROMINANCE * 2 * chroma_blocks
        counts = torch.stack([count(part) for part in parts]).sum(0)
        return F.pad(counts, (1, 0), value=float(empty))

    def forward(self, x: Tensor) -> Tensor:
        checks.images("x", x)
        kind = x.device.type
        exact = torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext()
        with exact:
            empty, nonzero, doublings = self.features(x.to(torch.promote_types(x.dtype, torch.float32))).unbind(1)
        return (empty + BITS[0] * nonzero + BITS[1] * doublings) / 8000

    def real_size(self, x: Tensor) -> Tensor:
        """(b) integers: the bytes of the file that Pillow writes for x, clamped to [0, 1] and rounded to 8 bits."""
        from PIL import Image

        checks.images("x", x)
        sizes = []
        for pixels in (255 * x.detach().double().clamp(0, 1)).round().byte().permute(0, 2, 3, 1).cpu().numpy():
            file = io.BytesIO()
            chosen = "4:2:0" if self.subsample else "4:4:4"
            Image.fromarray(pixels).save(file, "JPEG", quality=self.quality, subsampling=chosen)
            sizes.append(file.tell())
        return torch.tensor(sizes, device=x.device)
