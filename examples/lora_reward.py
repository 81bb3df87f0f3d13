"""LoRA fine-tuning of Stable Diffusion by a differentiable reward, through the whole sampler.

    python examples/lora_reward.py        # a tiny pipeline with random weights, seconds on a CPU
    python examples/lora_reward.py --weights PATH_OR_HUB_ID --device cuda --dtype float16 --steps 50 --lr 3e-4 --out DIR

Every update accumulates the gradient of the mean reward over all prompts and initial noises, one image at a time.
References: Clark et al., 2024, DRaFT, arXiv:2309.17400; Prabhudesai et al., 2023, AlignProp, arXiv:2310.03739.
"""

from collections.abc import Sequence

import torch
from diffusers.training_utils import cast_training_params
from peft import LoraConfig, get_peft_model_state_dict

import gradbench
from common import options, pipeline, update


def main(argv: Sequence[str] | None = None) -> list[float]:
    """Fine-tunes and returns the mean reward before each update."""
    parser = options(__doc__)
    parser.add_argument("--prompt", action="append", dest="prompts", metavar="TEXT", help="repeatable")
    parser.add_argument("--noises", type=int, default=2, help="initial noises a prompt, the same in every update")
    parser.add_argument("--rank", type=int, default=4)
    parser.add_argument("--lr", type=float, default=1e-2)
    parser.add_argument("--out", metavar="DIR", help="where the LoRA weights go, as safetensors")
    given = parser.parse_args(argv)
    pipe = pipeline(given)

    # The adapter. Its weights are in float32 whatever the networks are in, as optimizers and GradScaler need them.
    torch.manual_seed(0)
    targets = ["to_q", "to_k", "to_v", "to_out.0"]
    config = LoraConfig(r=given.rank, lora_alpha=given.rank, init_lora_weights="gaussian", target_modules=targets)
    pipe.unet.add_adapter(config)
    cast_training_params(pipe.unet)

    # A denoiser a prompt, all of the same U-Net. All weights but the adapter's are frozen here.
    prompts = given.prompts or ["a photo of a cat", "a photo of a dog"]
    checkpointing = given.inner_checkpointing
    parts = [
        gradbench.from_pipeline(pipe, prompt, guidance=given.guidance, inner_checkpointing=checkpointing)
        for prompt in prompts
    ]
    reward = parts[0].objective(given.reward)  # x_0 (b, *x) to (b). Or any function of your own of part.decoder(x_0)
    lora = [parameter for parameter in pipe.unet.parameters() if parameter.requires_grad]

    optimizer = torch.optim.AdamW(lora, lr=given.lr)
    scaler = torch.amp.GradScaler(given.device, enabled=given.dtype == "float16")
    batches = [(part, seed) for part in parts for seed in range(given.noises)]
    rewards = []
    for k in range(given.updates):
        mean = 0.0
        for part, seed in batches:
            x_0 = gradbench.sample(
                part.denoiser,
                part.noise(seed=seed),
                sampler=given.sampler,
                grid=part.grid(given.steps),
                gradient=given.gradient,
                wrt=lora,
            )
            share = reward(x_0).mean() / len(batches)
            scaler.scale(-share).backward()
            mean += share.item()
        rewards.append(mean)
        note = update(scaler, optimizer)
        print(f"update {k}: mean {given.reward} {mean:.4f}{note}")

    if given.out:
        pipe.save_lora_weights(given.out, unet_lora_layers=get_peft_model_state_dict(pipe.unet))
        print(f"LoRA weights in {given.out}; into a pipeline again by pipe.load_lora_weights({given.out!r})")
    return rewards


if __name__ == "__main__":
    main()
