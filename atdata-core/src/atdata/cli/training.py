"""The second half of the demo, run in a process of its own that knows an index and a name.

The class of the samples is rebuilt from the schema that was stored with them.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atdata.dataset import Dataset, load_dataset
from atdata.index import Index
from atdata.lens import Lens, LensNetwork
from atdata.samples import packable

CLASSES, SHADES = 10, 16
EPOCHS, BATCH_SIZE, RATE, SEED = 30, 32, 0.5, 0

Floats = NDArray[np.float32]


@packable
class Features:
    """What a classifier wants to see of an image: one row of numbers from 0 to 1."""

    pixels: NDArray[np.float32]
    label: int


def to_features(digit: Any) -> Features:
    """Flatten and scale an image."""
    return Features(pixels=digit.image.reshape(-1).astype(np.float32) / SHADES, label=digit.label)


@dataclass
class SoftmaxClassifier:
    """Softmax regression, trained by gradient descent."""

    weights: Floats
    bias: Floats

    def predict(self, pixels: Floats) -> Floats:
        """Return the probability of each class, one row a sample."""
        scores = pixels @ self.weights + self.bias
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)  # type: ignore[no-any-return]

    def learn(self, pixels: Floats, labels: NDArray[np.int64]) -> None:
        """Take one step down the gradient of the cross-entropy."""
        error = self.predict(pixels) - np.eye(CLASSES, dtype=np.float32)[labels]
        self.weights -= RATE * pixels.T @ error / len(labels)
        self.bias -= RATE * error.mean(axis=0)


def train(dataset: Dataset[Features]) -> SoftmaxClassifier:
    """Learn from shuffled batches; the order is another one in each epoch, and always the same."""
    width = dataset.head(1)[0].pixels.size
    model = SoftmaxClassifier(np.zeros((width, CLASSES), np.float32), np.zeros(CLASSES, np.float32))
    for epoch in range(EPOCHS):
        for batch in dataset.shuffled(batch_size=BATCH_SIZE, seed=SEED, epoch=epoch):
            model.learn(batch.pixels, np.asarray(batch.label))
    return model


def accuracy(model: SoftmaxClassifier, dataset: Dataset[Features]) -> float:
    """Return which part of the samples is recognised."""
    right = [
        model.predict(batch.pixels).argmax(axis=1) == np.asarray(batch.label)
        for batch in dataset.ordered(batch_size=256)
    ]
    return float(np.concatenate(right).mean())


def main(index_path: str, name: str) -> None:
    """Train on a dataset of an index, and print what came of it as JSON."""
    with Index(path=index_path) as index:
        digits = load_dataset(f"@local/{name}", index=index)
    rebuilt = digits["train"].sample_type
    LensNetwork().register(Lens(to_features, source_type=rebuilt, view_type=Features))
    model = train(digits["train"].as_type(Features))
    report = {
        "type": f"{rebuilt.__name__}({', '.join(digits['train'].column_names)})",
        "view": Features.__name__,
        "samples": {split: len(dataset) for split, dataset in digits.items()},
        "epochs": EPOCHS,
        "accuracy": accuracy(model, digits["test"].as_type(Features)),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
