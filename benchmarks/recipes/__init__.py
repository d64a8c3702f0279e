"""The table of what `train.py` trains: a name, and the recipe behind it."""

from course_lib.models.pixel.convolutional import GatedPixelCNN, PixelCNN
from course_lib.models.pixel.recurrent import DiagonalBiLSTM, GridLSTM, RasterLSTM, RowLSTM

from .characters import Characters
from .creatures import Creatures
from .images import Codes, Images
from .memory import Memory
from .voices import Voices

RECIPES = {
    "poems": Characters("poems", 128, batch_size=32, lr=8e-3),
    "poems_plain": Memory("poems", 128, batch_size=32, lr=8e-3, cell="plain"),
    "poems_half_open": Memory("poems", 128, batch_size=32, lr=8e-3, cell="half open"),
    "poems_open": Memory("poems", 128, batch_size=32, lr=8e-3, cell="open"),
    "names": Characters("names", 128, batch_size=64, lr=4e-3),
    "tang": Characters("tang", 128, batch_size=32, lr=2e-3, most_steps=1500),
    "shakespeare": Characters("shakespeare", 256, batch_size=16, lr=4e-3),
    "creatures": Creatures(),
    "spoken_digits": Voices(),
    "mnist_pixel_cnn": Images(PixelCNN, 48, 6, lr=4e-3, published=81.30),
    "mnist_gated_pixel_cnn": Images(GatedPixelCNN, 32, 5),
    "mnist_row_lstm": Images(RowLSTM, 32, 2, published=80.54),
    "mnist_diagonal_bilstm_1x32": Images(DiagonalBiLSTM, 32, 1, lr=6e-3, published=80.75),
    "mnist_diagonal_bilstm_7x16": Images(DiagonalBiLSTM, 16, 7, lr=4e-3, published=79.20),
    "mnist_grid_lstm": Images(GridLSTM, 24, 2),
    "mnist_raster_lstm": Images(RasterLSTM, 128, 1),
    # the paper's widths; where it has tanh there is a SiLU, and the second layer is residual
    "mnist_vae": Codes(features=200, depth=2, batch_size=100, lr=1.5e-3, published=86.76, published_static=88.71),
    "mnist_iwae_50": Codes(
        features=200, depth=2, batch_size=20, lr=1e-3, samples=50, published=84.78, published_static=87.10
    ),
    # for a GPU; inside a block of the first there are 128 features, the paper's h
    "mnist_pixel_cnn_large": Images(PixelCNN, 256, 15, batch_size=64, lr=5e-4, published=81.30),
    "mnist_gated_pixel_cnn_large": Images(GatedPixelCNN, 128, 12, batch_size=64, lr=5e-4),
    "mnist_iwae_50_large": Codes(
        features=512, depth=2, batch_size=80, lr=1e-3, samples=50, published=84.78, published_static=87.10
    ),
}
