# The options of install, which has checked them. Sourced by install_emq2, install_emqx4 and install_emqx5 with their arguments.
# shellcheck shell=bash disable=SC2034 # they are used by those who source this
server='' topic='' enable=''
while [[ ${1:-} == --* ]]; do
    case $1 in
        --server) server=$2; shift ;;
        --topic) topic=$2; shift ;;
        --enable) enable=yes ;;
    esac
    shift
done
home=${1:-}
