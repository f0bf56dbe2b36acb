%% The broker's listeners and the hooks at a boot and at a stop. While listeners are open and no hook is registered, the broker
%% acknowledges messages that become no records. Only rules with `on_failure = disconnect` promise otherwise: without one, nothing is
%% held back. No process: runs in its callers.
-module(emq_plugin_kafka_listeners).

-export([at_stop/0, at_boot/0, problems/1]).
-export_type([at_boot/0]).

%% Whether the broker opens its listeners before the hooks are registered. closed: it does not. open: it does. next: it did at this
%% boot, and will not at the next.
-type at_boot() :: closed | next | open.

%% Called by the application as the last step before its processes end. If the whole broker stops, the hooks stay until it has closed
%% its listeners: without a producer, they refuse each publish that would have waited for its record.
-spec at_stop() -> ok.
at_stop() ->
    at_stop(disconnects() andalso emq_plugin_kafka_broker:is_stopping()).

at_stop(true) -> emq_plugin_kafka_broker:open_listeners_last();
at_stop(unknown) -> emq_plugin_kafka_hooks:unregister_later();
at_stop(false) -> emq_plugin_kafka_hooks:unregister().

%% Whether some rule disconnects a publisher whose record is not safe.
disconnects() ->
    try emq_plugin_kafka_nif:about() of
        #{disconnects := Disconnects} -> Disconnects
    catch
        error:not_loaded -> false
    end.

%% EMQX 4 and 5 open their listeners before they start plugins. The installer's line in vm.args changes that from the next boot on.
-spec at_boot() -> at_boot().
at_boot() ->
    at_boot(emq_plugin_kafka_broker:opens_listeners_first()).

at_boot(false) -> closed;
at_boot(true) -> by_arguments(init:get_argument(emqx)).

by_arguments({ok, Arguments}) -> by_boot_modules([Value || ["boot_modules", Value | _] <- Arguments]);
by_arguments(error) -> by_boot_modules([]).

%% The boot modules of this boot, or else those of the next one.
by_boot_modules([_ | _] = Values) -> this_boot(without_listeners("^", lists:last(Values)));
by_boot_modules([]) -> next_boot(lists:any(fun has_line/1, vm_args())).

this_boot(true) -> closed;
this_boot(false) -> open.

next_boot(true) -> next;
next_boot(false) -> open.

%% EMQX's etc: named by its start script, in the release, or where Linux packages have it.
vm_args() ->
    [filename:join(Directory, "vm.args")
     || Directory <- [os:getenv("EMQX_ETC_DIR"), os:getenv("RUNNER_ETC_DIR"), filename:join(code:root_dir(), "etc"), "/etc/emqx"],
        Directory =/= false].

has_line(File) -> has_line_in(file:read_file(File)).

has_line_in({ok, Text}) -> without_listeners("^-emqx boot_modules ", Text);
has_line_in({error, _}) -> false.

%% Whether a list of boot modules follows that does not contain the listeners.
without_listeners(Before, Text) ->
    re:run(Text, [Before, "\\[(?![^\\]]*listeners)"], [multiline, {capture, none}]) =:= match.

%% Shown to an operator whose rules rely on acknowledgements.
-spec problems(at_boot()) -> [binary()].
problems(open) ->
    [<<"at boot, this EMQX acknowledges messages before the plugin sees them: run the plugin's bin/install again, "
       "which adds two lines to etc/vm.args">> || disconnects()];
problems(_ClosedOrNext) ->
    [].
