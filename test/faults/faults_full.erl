%% What a full spool means to publishers and records, whatever has filled it.
-module(faults_full).

-export([felt/2, losses/1, refused/2]).

%% @doc Waits until the publishers have felt it.
-spec felt(faults_rig:mode(), faults_load:load()) -> ok.
felt(async, Load) -> faults_load:await(Load, acked, 2000);
felt(_, Load) -> faults_load:await(Load, lost, 20).

%% @doc What may be lost; see faults_oracle.
-spec losses(faults_rig:mode()) -> {counted, [atom()]} | none.
losses(async) -> {counted, [spool_full]};
losses(_) -> none.

%% @doc Evidence: without a PUBACK connections end.
-spec refused(faults_rig:mode(), faults_load:load()) -> {boolean(), iodata()}.
refused(async, Load) -> faults_said:clients(async, Load);
refused(_, Load) -> faults_said:clients(sync, Load).
