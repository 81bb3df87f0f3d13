"""Images to measure on: crops of the two photographs of scikit-learn, and synthetic ones."""

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_sample_images


def photo_crops(photo, count, size, seed):
    """(count, 3, size, size) of photograph 0 or 1, each blurred, noisy and flattened to a random degree."""
    whole, random, crops = load_sample_images().images[photo] / 255, np.random.default_rng(seed), []
    for _ in range(count):
        row, column = (random.integers(0, side - size) for side in whole.shape[:2])
        blur = random.choice([0, 0, 0.5, 1, 2, 4])
        crop = gaussian_filter(whole[row : row + size, column : column + size], (blur, blur, 0))
        crop = crop + random.choice([0, 0, 0.01, 0.03, 0.1]) * random.standard_normal(crop.shape)
        crops.append(0.5 + random.uniform(0.3, 1) * (crop - 0.5))
    return torch.from_numpy(np.stack(crops).clip(0, 1).transpose(0, 3, 1, 2).copy())


def synthetic(count, size, seed):
    """(count, 3, size, size) of smoothed noise of six widths, coloured or grey, some of it cut to two colours."""
    random, images = np.random.default_rng(seed), []
    for _ in range(count):
        width = random.choice([0.7, 1, 2, 4, 8, 16])
        image = gaussian_filter(random.standard_normal((3, size, size)), (0, width, width), mode="wrap")
        image = image / image.std()
        grey = random.random() < 0.3
        image = 0.5 + random.uniform(0.02, 0.25) * (image[:1].repeat(3, 0) if grey else image)
        if random.random() < 0.3:
            image = (image > 0.5) * random.uniform(0.1, 1, (3, 1, 1))
        images.append(image)
    return torch.from_numpy(np.stack(images).clip(0, 1))
