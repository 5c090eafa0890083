#!/usr/bin/env bash
# gancli on several nodes of a Slurm cluster: sbatch slurm.sh
# The run folder and the data have to lie where every node sees them.
#SBATCH --job-name=gancli
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=64
#SBATCH --time=24:00:00
#SBATCH --open-mode=append
# Two minutes before its time is up the job is told, saves, and is queued again.
#SBATCH --requeue
#SBATCH --signal=TERM@120
set -euo pipefail

run=${RUN:-runs/photos}
data=${DATA:-photos.zip}
# Processes that start again meet in a new place, not at the addresses of the dead.
export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
# Seconds to end a round and to save.
export TORCH_ELASTIC_SHUTDOWN_TIMEOUT=100
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)

srun torchrun \
  --nnodes "$SLURM_NNODES" \
  --nproc-per-node 8 \
  --max-restarts 3 \
  --rdzv-id "$SLURM_JOB_ID" \
  --rdzv-backend c10d \
  --rdzv-endpoint "$head:29500" \
  -m gancli train "$data" --model dcgan --out "$run" \
  --set 'data.size=[64,64]' --set training.batch=2048 --kimg 25000 ||
  # What has saved itself goes on from there; anything else is for a person to look at.
  { [[ -e $run/state.safetensors && ! -e $run/samples.png ]] && scontrol requeue "$SLURM_JOB_ID"; }
