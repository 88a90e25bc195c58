"""The weights that come with this package, and how they were made. No torch here."""

from __future__ import annotations

from minegan_zoo.contracts import Card, ImageSpec, LatentSpace

IMAGE = ImageSpec(channels=1, resolution=32)
SIZES = (4, 8, 8, 16, 16, 32, 32)
LATENTS = {
    "z": LatentSpace((64,), "normal"),
    "w": LatentSpace((64,), "mapped"),
    "w+": LatentSpace((8, 64), "mapped"),
    **{f"noise.{k}": LatentSpace((1, size, size), "normal") for k, size in enumerate(SIZES)},
}
SHOES = Card(
    summary="Sandals, sneakers and ankle boots of Fashion-MNIST, 32x32 grey",
    weights="package:minegan_zoo_stylegan/weights/fashion-shoes-32",
    origin="trained by minegan_zoo",
    licence="Apache-2.0; training data MIT",
    training_data="Fashion-MNIST (Zalando, MIT), training split, classes 5, 7, 9, resized to 32x32",
    sha256={
        "generator.safetensors": "32521eff3938e02e40dc77a379466dbd9f74fe36e3f00e87ad01e3aaacb105a6",
        "discriminator.safetensors": "2ebcc01e24166fb0aaee59015717f8d441c1e7e540e4be1125866ac4469d0ab5",
    },
    citation="H. Xiao, K. Rasul, R. Vollgraf: Fashion-MNIST. arXiv 1708.07747. T. Karras et al.: arXiv 1912.04958.",
    command=(
        "OMP_NUM_THREADS=1 minegan-zoo pretrain stylegan2 --images 'torchvision:FashionMNIST?root=DATA&classes=5,7,9' "
        "--set resolution=32 --set channels=1 --set z_dim=64 --set w_dim=64 --set mapping_layers=4 "
        "--set channel_base=512 --set channel_max=128 "
        "--set source_lr=2e-3 --set critic_lr=2e-3 --set gamma=0.1 "
        "--set training.ema_rampup=0.05 --steps 3000 --out runs/shoes && "
        "minegan-zoo convert runs/shoes/model fashion-shoes-32 --half"
    ),
    notes="3000 steps of 32 images, about 25 minutes on one CPU core.",
)
