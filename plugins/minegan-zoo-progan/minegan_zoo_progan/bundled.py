"""The weights that come with this package, and how they were made. No torch here."""

from __future__ import annotations

from minegan_zoo.contracts import Card, ImageSpec, LatentSpace

IMAGE = ImageSpec(channels=1, resolution=32)
LATENTS = {"z": LatentSpace((64,), "sphere")}
TOPS = Card(
    summary="T-shirts, pullovers, coats and shirts of Fashion-MNIST, 32x32 grey",
    weights="package:minegan_zoo_progan/weights/fashion-tops-32",
    origin="trained by minegan_zoo",
    licence="Apache-2.0; training data MIT",
    training_data="Fashion-MNIST (Zalando, MIT), training split, classes 0, 2, 4, 6, resized to 32x32",
    sha256={
        "generator.safetensors": "b8290bd9fbe1f4a65fcf21d57ad4632f268f494845e6a3ea01a3f18e239c25ca",
        "discriminator.safetensors": "7758e02b54f4ee620a077f459c3f0ec7fe908fc7feb9503c8d0f0cd6508329dc",
    },
    citation="H. Xiao, K. Rasul, R. Vollgraf: Fashion-MNIST. arXiv 1708.07747. T. Karras et al.: arXiv 1710.10196.",
    command=(
        "OMP_NUM_THREADS=1 minegan-zoo pretrain progan --images 'torchvision:FashionMNIST?root=DATA&classes=0,2,4,6' "
        "--set resolution=32 --set channels=1 --set z_dim=64 --set channel_base=512 --set channel_max=128 "
        "--set source_lr=2e-3 --set critic_lr=2e-3 --set gamma=0.1 "
        "--set training.ema_rampup=0.05 --steps 2750 --out runs/tops && "
        "minegan-zoo convert runs/tops/model fashion-tops-32 --half"
    ),
    notes="2750 steps of 32 images, about 25 minutes on one CPU core.",
)
