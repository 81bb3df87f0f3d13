"""Fine-tuning to a reward: LoRA weights move so that pictures of many prompts are rewarded."""

from ..trained import REWARDED, check_rewarded, later, task_case

SPEC = task_case(
    name="align",
    summary="a task: LoRA fine-tuning of a trained network to a reward, judged by a held-out network and prompts",
    citation="Prabhudesai et al., 2023, arXiv:2310.03739; Clark et al., 2024, arXiv:2309.17400; Black et al., 2023, "
    "arXiv:2305.13301",
    params=REWARDED,
    check=check_rewarded,
    sums=True,
    targets=("parameters",),
    task=later(__package__, "Align"),
)
