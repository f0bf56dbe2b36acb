%% Asks the broker's node for the plugin's counters, several times a second, under load: every answer is evidence for the
%% oracle. One process for each life of the broker's VM.
-module(faults_sampler).

-export([start/1, stop/1, samples/1]).

-define(PERIOD_MS, 100).

-spec start(node()) -> pid().
start(Node) ->
    spawn(fun() ->
                  {ok, _} = timer:send_interval(?PERIOD_MS, sample),
                  loop(Node, [])
          end).

%% @doc Ends it; all that it saw, oldest first.
-spec stop(pid()) -> [map()].
stop(Sampler) ->
    Samples = ask(Sampler, samples),

    exit(Sampler, kill),
    Samples.

-spec samples(pid()) -> [map()].
samples(Sampler) -> ask(Sampler, samples).

ask(Sampler, Request) ->
    Ref = make_ref(),
    Sampler ! {Request, self(), Ref},
    receive {Ref, Answer} -> Answer after 30000 -> error(sampler_does_not_answer) end.

loop(Node, Samples) ->
    receive
        {samples, From, Ref} ->
            From ! {Ref, lists:reverse(Samples)},
            loop(Node, Samples);
        sample ->
            Next = sampled(Node, Samples),
            ok = forget(),
            loop(Node, Next)
    end.

%% A node that answers late is asked once, not once for every time that was missed.
forget() ->
    receive sample -> forget() after 0 -> ok end.

%% A node that is gone, or a plugin that is not loaded yet, has no counters.
sampled(Node, Samples) ->
    try erpc:call(Node, emq_plugin_kafka, stats, [], 5000) of
        #{accepted := _} = Stats -> [Stats | Samples];
        {error, not_loaded} -> Samples
    catch
        error:{erpc, _} -> Samples;
        error:{exception, undef, _} -> Samples
    end.
