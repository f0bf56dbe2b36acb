%% Supervises the process that owns the producer.
-module(emq_plugin_kafka_sup).
-behaviour(supervisor).

-export([start_link/0, init/1]).

-spec start_link() -> supervisor:startlink_ret().
start_link() ->
    supervisor:start_link({local, ?MODULE}, ?MODULE, []).

-spec init([]) -> {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init([]) ->
    %% infinity: shutdown_timeout bounds the producer's end. Killed earlier, it would lose records.
    Producer = #{id => emq_plugin_kafka_producer,
                 start => {emq_plugin_kafka_producer, start_link, []},
                 shutdown => infinity},
    {ok, {#{strategy => one_for_one, intensity => 5, period => 60}, [Producer]}}.
