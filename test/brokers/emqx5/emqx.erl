%% Where EMQX has its data.
-module(emqx).

-export([data_dir/0]).

data_dir() -> persistent_term:get({standin, data_dir}).
