# What a script says of itself: the comment at its beginning. Sourced, without arguments, by every script that people run: with --help
# or -h as its first argument it prints that and ends well. Plain sh, for the scripts that are.
# shellcheck shell=sh

# usage: the comment, without its marks.
usage() { awk 'NR == 1 { next } !/^#/ { exit } { sub(/^# ?/, ""); print }' "$0"; }

case ${1:-} in --help | -h) usage; exit 0 ;; esac
