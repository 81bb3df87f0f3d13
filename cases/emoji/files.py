"""The files of trained networks that ship with the emoji case; no torch."""

from pathlib import Path

HERE = Path(__file__).parent
PIPELINE = HERE / "pipeline"
NETWORKS = {  # of the pipeline, and the file of each
    "unet": "pipeline/unet/diffusion_pytorch_model.safetensors",
    "vae": "pipeline/vae/diffusion_pytorch_model.safetensors",
    "text_encoder": "pipeline/text_encoder/model.safetensors",
}
JUDGES = ("scorer", "held-out-scorer", *(f"recogniser-{k}" for k in range(3)), "style", "held-out-style")
FILES = (*NETWORKS.values(), *(f"judges/{name}.safetensors" for name in JUDGES))
