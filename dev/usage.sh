# --help of every script that people run, which sources this file: with --help or -h as its first argument the script prints the comment at
# its beginning and exits with 0. Plain sh, for the scripts that are.
# shellcheck shell=sh

# usage: the comment, without its marks.
usage() { awk 'NR == 1 { next } !/^#/ { exit } { sub(/^# ?/, ""); print }' "$0"; }

# wrong: the same to somebody who gave arguments that do not fit.
wrong() {
    usage >&2
    exit 1
}

case ${1:-} in --help | -h) usage; exit 0 ;; esac
