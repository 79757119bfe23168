"""Detection of COCO's things by NanoDet on onnxruntime, and which of them a picture may show besides."""

from perception.backends.backend import ONOFF, Backend, Option
from perception.builder import Builder
from perception.expert import NetworkExpert
from perception.networks.nanodet import NanoDet
from perception.networks.network import Found
from perception.scene import Detection, Scene, Tag


class NanoDetDetection(NetworkExpert):
    """Boxes with scores from `threshold` on, surest first; a score is the share of such boxes that are right."""

    def __init__(self, network: NanoDet, threshold: float):
        super().__init__(network)
        self.threshold = threshold

    def fill(self, found: Found, scene: Scene) -> None:
        """Fills `scene.detections`."""
        scene.detections = [
            Detection(label, tuple(box), score)
            for label, box, score in zip(found.labels, found.boxes.tolist(), found.scores.tolist(), strict=True)
            if score >= self.threshold
        ]


class NanoDetPossible(NanoDetDetection):
    """Labels that are in the picture with a likelihood from `threshold` on, the most likely first."""

    def fill(self, found: Found, scene: Scene) -> None:
        """Fills the scene's part `possible`."""
        likely = self.network.presence(found)
        scene.more["possible"] = [Tag(label, score) for label, score in likely.items() if score >= self.threshold]


def build(kind: str, weights: str, builder: Builder, threshold: float = 0.1, **options) -> NetworkExpert:
    """The expert of a kind; those of one folder and the same options share a network."""
    key = ("nanodet", weights, *sorted(options.items()))
    network = builder.shared(key, lambda: NanoDet(weights, device=builder.device, **options))
    return (NanoDetPossible if kind == "possible" else NanoDetDetection)(network, threshold)


BACKEND = Backend(
    name="nanodet",
    kinds=("detection", "possible"),
    build=build,
    weights="a folder with model.onnx and config.json, such as embedded:nanodet",
    options={"threshold": Option(float, 0.05, 1.0), "close_looks": ONOFF, "threads": Option(int, 1, 256)},
)
