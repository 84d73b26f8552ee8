#!/usr/bin/env bash
# tools/dist_train.sh CONFIG GPUS [options of tools/train.py]
# Several machines: NNODES, NODE_RANK, MASTER_ADDR and PORT from the environment.
# MAX_RESTARTS: how often, after a process has died, all go on from the last checkpoint (0).
# Without GPUs the processes run on CPU and talk through gloo.
set -euo pipefail
if [ $# -lt 2 ]; then
    sed -n '2,5s/^# //p' "$0" >&2
    exit 2
fi
config=$1
gpus=$2
rendezvous=(--node_rank="${NODE_RANK:-0}" --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}")
if [ "${MAX_RESTARTS:-0}" -gt 0 ]; then
    # a store for each start: in a shared one those that follow find the addresses of the dead
    export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
    MVLT_LAUNCHED=$(date +%s)
    export MVLT_LAUNCHED
    rendezvous=(--max-restarts="$MAX_RESTARTS" --rdzv-backend=c10d --rdzv-id=mvlt
        --rdzv-endpoint="${MASTER_ADDR:-127.0.0.1}:${PORT:-29500}")
fi
exec "${PYTHON:-python}" -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    "${rendezvous[@]}" \
    --nproc_per_node="$gpus" \
    "$(dirname "$0")/train.py" "$config" --launcher pytorch "${@:3}"
