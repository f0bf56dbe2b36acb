%% The commands of EMQX's command line.
-module(emqx_ctl).

-export([register_command/3, unregister_command/1]).

register_command(Name, Callback, []) -> persistent_term:put({standin, Name}, Callback).

unregister_command(Name) ->
    _ = persistent_term:erase({standin, Name}),
    ok.
