%% The tuples that pass through EMQ 2.3's hooks, field by field as its plugins see them.

-record(mqtt_message, {id, pktid, from, topic, qos = 0, flags = [], retain = false, dup = false,
                       sys = false, headers = [], payload, timestamp}).

-record(mqtt_client, {client_id, client_pid, username, peername, clean_sess, proto_ver, keepalive,
                      will_topic, ws_initial_headers, mountpoint, connected_at}).

-record(mqtt_alarm, {id, severity, title, summary, timestamp}).

-record(mqtt_plugin, {name, version, descr, active = false}).
