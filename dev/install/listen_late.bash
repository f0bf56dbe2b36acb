# EMQX 4 and 5 open their listeners before they start plugins, and acknowledge messages that no plugin sees. Two lines in vm.args let them
# open afterwards. Sourced by install_* and uninstall_* of both, after emq_home.bash; find_emq sets vm_args.
# shellcheck shell=bash disable=SC2154 # they come from emq_home.bash and emqx4.bash or emqx5.bash

# The lines need nothing of the plugin, so that EMQX opens its listeners without it, too. A node that joins a cluster while it boots stops
# and starts EMQX meanwhile: the lines try again ten times, and then fail the boot, as EMQX does without them.
boot_lines() {
    cat <<'END'
## emq_plugin_kafka: the listeners open after plugins have started. Its uninstall takes this line and the next one out.
-emqx boot_modules [broker] -eval 'Open = fun Open(Tries) -> case lists:keymember(emqx, 1, application:which_applications(infinity)) of true -> try emqx_listeners:start() catch _:_ when Tries > 0 -> timer:sleep(500), Open(Tries - 1) end; false -> timer:sleep(100), Open(Tries) end end, application:unset_env(emqx, boot_modules), Open(10).'
END
}

without_boot_lines() { sed "/^## $plugin: /,+1d" "$vm_args"; }

can_change_vm_args() { [[ -f $vm_args && -w $vm_args && -w $(dirname "$vm_args") ]]; }

# At the top, so that no other line changes.
listen_late() {
    if ! can_change_vm_args; then
        say "$vm_args cannot be written: put these lines into it, or EMQX will acknowledge messages before the plugin sees them when it boots:"
        boot_lines >&2
    elif without_boot_lines | grep -q '^[[:space:]]*-emqx boot_modules'; then
        say "$vm_args has boot_modules of its own, which stay"
    else
        { boot_lines; without_boot_lines; } >"$vm_args.new"
        change_vm_args "EMQX opens its listeners after it has started plugins, from its next boot on ($vm_args)"
    fi
}

listen_early() {
    if ! grep -qs "^## $plugin: " "$vm_args"; then
        return 0
    elif can_change_vm_args; then
        without_boot_lines >"$vm_args.new"
        change_vm_args "EMQX opens its listeners as it did before, from its next boot on ($vm_args)"
    else
        say "$vm_args cannot be written: take these lines out of it, which are not needed any more:"
        boot_lines >&2
    fi
}

change_vm_args() {
    if cmp -s "$vm_args.new" "$vm_args"; then
        rm -f "$vm_args.new"
    else
        replace "$vm_args.new" "$vm_args"
        say "$1"
    fi
}
