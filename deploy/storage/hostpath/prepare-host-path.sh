#!/bin/sh
# Prepares the folders that clusters with `storageMode: HostPath` keep their data in. Run it as root on every node
# that may run a pod of RocketMQ. Kubernetes never gives a folder of the node to a pod's user, so somebody has to.
#
#   prepare-host-path.sh [FOLDER...]
#
# Without folders it prepares those of the examples. The owner is the user of RocketMQ's images and of the agent;
# ROCKETMQ_UID and ROCKETMQ_GID name another one. What lies in a folder already is given to that owner too.
set -eu

uid=${ROCKETMQ_UID:-3000}
gid=${ROCKETMQ_GID:-3000}
[ $# -gt 0 ] || set -- /data/rocketmq/nameserver /data/rocketmq/broker

if [ "$(id -u)" -ne 0 ]; then
    echo "error: only root can give folders away; run it with sudo" >&2
    exit 1
fi
for folder in "$@"; do
    case $folder in
        /) echo "error: \`/\` is the whole node" >&2; exit 1 ;;
        /*) ;;
        *) echo "error: \`$folder\` is not an absolute path" >&2; exit 1 ;;
    esac
    mkdir -p "$folder"
    chown -R "$uid:$gid" "$folder"
    chmod -R u+rwX "$folder"
    echo "Changed hostPath $folder uid to $uid, gid to $gid"
done
