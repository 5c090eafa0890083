#!/usr/bin/env bash
# gancli on several nodes of a Slurm cluster: sbatch slurm.sh
# The run folder and the data must be on storage that every node can read and write.
#SBATCH --job-name=gancli
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=64
#SBATCH --time=24:00:00
#SBATCH --open-mode=append
# Two minutes before its time limit the job gets SIGTERM, saves, and is requeued.
#SBATCH --requeue
#SBATCH --signal=TERM@120
set -euo pipefail

run=${RUN:-runs/photos}
data=${DATA:-photos.zip}
# Restarted processes use a new store instead of connecting to the addresses of dead ones.
export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
# Seconds to finish a round and save.
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
  # Requeue a run that has saved its state; anything else failed and needs a person.
  { [[ -e $run/state.safetensors && ! -e $run/samples.png ]] && scontrol requeue "$SLURM_JOB_ID"; }
