"""The weights that come with this package, and how they were made. No torch here."""

from __future__ import annotations

from minegan_zoo.contracts import Card, ImageSpec
from minegan_zoo_biggan.architecture import latent_spaces

IMAGE = ImageSpec(channels=1, resolution=32)
LATENTS = latent_spaces(dim_z=64, class_dim=32, conditioned=3)
OTHERS = Card(
    summary="Trousers, dresses and bags of Fashion-MNIST, 32x32 grey",
    weights="package:minegan_zoo_biggan/weights/fashion-others-32",
    origin="trained by minegan_zoo",
    licence="Apache-2.0; training data MIT",
    training_data="Fashion-MNIST (Zalando, MIT), training split, classes 1, 3, 8, resized to 32x32",
    sha256={
        "generator.safetensors": "02732345991809706b702e0db0fa1feebf3f18ccff4024f088aecebefd86cfaa",
        "discriminator.safetensors": "d028a63e89f06695e93e0af45a15385442960b8c28d497a3fad9007ac444ab67",
    },
    citation="H. Xiao, K. Rasul, R. Vollgraf: Fashion-MNIST. arXiv 1708.07747. A. Brock et al.: arXiv 1809.11096.",
    command=(
        "OMP_NUM_THREADS=1 minegan-zoo pretrain biggan --images 'torchvision:FashionMNIST?root=DATA&classes=1,3,8' "
        "--labels --objective hinge --set resolution=32 --set channels=1 --set num_classes=3 --set ch=8 "
        "--set critic_ch=10 --set dim_z=64 --set shared_dim=32 --set source_lr=4e-3 --set critic_lr=2e-3 "
        "--set training.ema_rampup=0.05 --steps 4000 --out runs/others && "
        "minegan-zoo convert runs/others/model fashion-others-32 --half"
    ),
    notes="4000 steps of 32 images, about 35 minutes on one CPU core.",
)
