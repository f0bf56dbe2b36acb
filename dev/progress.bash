# What takes minutes says that it goes on. Sourced by those who build, fetch and install.
# shellcheck shell=bash
tick_s=20

# ticking WHAT COMMAND ARG...: runs the command, and says every so many seconds on stderr that it still does.
ticking() {
    local what=$1 start=$SECONDS status=0 ticker
    shift
    tick "$what" "$start" &
    ticker=$!
    "$@" || status=$?
    kill "$ticker" 2>/dev/null || true
    wait "$ticker" 2>/dev/null || true
    return "$status"
}

# Waits by reading what nobody writes: no child of its own that could outlive it. Ctrl-C does not reach it, so that it looks
# whether the script is still there.
tick() {
    local silence
    exec {silence}<> <(:)
    while ! read -r -t "$tick_s" -u "$silence"; do
        kill -0 "$$" 2>/dev/null || return
        printf '  ... %s: %d s so far\n' "$1" $((SECONDS - $2)) >&2
    done
}
