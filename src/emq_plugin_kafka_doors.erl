%% The times at which a broker could acknowledge a message while no hook of the plugin is registered: when it boots, and when it
%% stops. Where nobody relies on an acknowledgement nothing is held back. Runs in its callers.
-module(emq_plugin_kafka_doors).

-export([leave/0, node_stops/0, outlive/1, boot/0, problems/1]).
-export_type([boot/0]).

%% Whether clients can publish before the hooks are registered when the broker boots. next: not from the next boot on.
-type boot() :: closed | next | open.

%% The last step of a stop. Where the broker itself stops, the hooks stay: without a producer they refuse each publish that would
%% have waited for its record, until the broker has closed its listeners.
-spec leave() -> ok.
leave() ->
    leave(disconnects() andalso emq_plugin_kafka_broker:stops()).

leave(true) -> emq_plugin_kafka_broker:reopen_late();
leave(perhaps) -> emq_plugin_kafka_grace:grant();
leave(false) -> emq_plugin_kafka_hooks:unregister().

%% Whether some rule has a publisher disconnected whose record is not safe.
disconnects() ->
    try emq_plugin_kafka_nif:about() of
        #{disconnects := Disconnects} -> Disconnects
    catch
        error:not_loaded -> false
    end.

-spec node_stops() -> boolean().
node_stops() ->
    stopping(init:get_status()).

stopping({stopping, _Progress}) -> true;
stopping(_Status) -> false.

%% A process that outlives the application, whose stop kills what has its group leader.
-spec outlive(fun(() -> ok)) -> pid().
outlive(Do) ->
    Outlives = spawn(fun() -> receive go -> Do() end end),
    true = group_leader(whereis(init), Outlives),
    go = Outlives ! go,
    Outlives.

%% EMQX 4 and 5 open their listeners before plugins, unless the installer's line in vm.args says otherwise. EMQX reads it at its next
%% boot.
-spec boot() -> boot().
boot() ->
    boot(emq_plugin_kafka_broker:opens_early()).

boot(false) -> closed;
boot(true) -> told(init:get_argument(emqx)).

told({ok, Arguments}) -> told_boot_modules([Value || ["boot_modules", Value | _] <- Arguments]);
told(error) -> told_boot_modules([]).

told_boot_modules([_ | _] = Values) -> closed(without_listeners("^", lists:last(Values)));
told_boot_modules([]) -> next_boot(lists:any(fun has_line/1, vm_args())).

closed(true) -> closed;
closed(false) -> open.

next_boot(true) -> next;
next_boot(false) -> open.

%% Where EMQX has its etc: as its start script says, or in the release, or as Linux packages have it.
vm_args() ->
    [filename:join(Directory, "vm.args")
     || Directory <- [os:getenv("EMQX_ETC_DIR"), os:getenv("RUNNER_ETC_DIR"), filename:join(code:root_dir(), "etc"), "/etc/emqx"],
        Directory =/= false].

has_line(File) -> found(file:read_file(File)).

found({ok, Text}) -> without_listeners("^-emqx boot_modules ", Text);
found({error, _}) -> false.

%% A list of modules, in which the listeners are not.
without_listeners(Before, Text) ->
    re:run(Text, [Before, "\\[(?![^\\]]*listeners)"], [multiline, {capture, none}]) =:= match.

%% What an operator who relies on acknowledgements must know.
-spec problems(boot()) -> [binary()].
problems(open) ->
    [<<"when this EMQX boots, it acknowledges messages before the plugin sees them: run the plugin's bin/install again: "
       "it adds two lines to etc/vm.args">> || disconnects()];
problems(_ClosedOrNext) ->
    [].
