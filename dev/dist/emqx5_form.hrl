%% Included by emqx5_files.escript: puts the groups, words and checks of emqx5_form.term and the schema's settings together.

%% In `$ui`, a row is 24 wide.
-define(HALF, 12).
-define(WHOLE, 24).

is_setting(Entry) ->
    is_list(element(1, Entry)).

%% [{English title, settings with their words}]
groups([{check, _, _, _, _} | Form], Settings) -> groups(Form, Settings);
groups([{group, English, _Chinese} | Form], Settings) ->
    {Entries, Others} = lists:splitwith(fun is_setting/1, Form),
    {Own, Later} = lists:split(length(Entries), Settings),
    [{English, lists:zipwith(fun with_words/2, Entries, Own)} | groups(Others, Later)];
groups([], []) -> [].

with_words({_Key, Label, ChineseLabel, Chinese, Options}, #{types := Types} = Setting) ->
    Events = string:replace(maps:get(events, Setting, ""), ", ", "、", all),
    Setting#{label => {Label, ChineseLabel}, chinese => lists:flatten(string:replace(Chinese, "EVENTS", Events)),
             is_required => lists:member(required, Options), checks => check(Types) ++ lists:delete(required, Options)}.

check([{atom, auto}, {duration, ms} | _]) -> [{check, auto_or_duration}];
check([{duration, ms} | _]) -> [{check, duration}];
check([bytesize | _]) -> [{check, size}];
check(_Types) -> [].

%% Two fields a row. A group begins with a row of its own: the field before it is wide, if need be.
laid_out(Groups) ->
    [{Title, rows(Settings)} || {Title, Settings} <- Groups].

rows([]) -> [];
rows([#{field := Map} = Setting | Settings]) when Map =:= "hook"; Map =:= "rdkafka" -> [Setting#{flex => ?WHOLE} | rows(Settings)];
rows([Setting]) -> [Setting#{flex => ?WHOLE}];
rows([Left, Right | Settings]) -> [Left#{flex => ?HALF}, Right#{flex => ?HALF} | rows(Settings)].
