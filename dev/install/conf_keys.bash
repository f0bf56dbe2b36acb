# Which keys a schema knows, and which a conf file sets. Sourced by install.
# shellcheck shell=bash
prefix='emq.plugin.kafka.'

# schema_keys SCHEMA: the keys of its mappings, with $name where any word may be.
schema_keys() { sed -n 's/^{mapping, *"\([^"]*\)".*/\1/p' "$1" | sort -u; }

# conf_keys CONF: the keys of ours that it sets. Everything else in there is another schema's business.
conf_keys() {
    sed -n "s/^[[:space:]]*\(${prefix//./\\.}[^[:space:]=]*\)[[:space:]]*=.*/\1/p" "$1" | sort -u
}

# new_keys OLD_SCHEMA NEW_SCHEMA: what only the second knows.
new_keys() { comm -13 <(schema_keys "$1") <(schema_keys "$2"); }

# unknown_keys CONF SCHEMA: the keys of ours that the schema does not know, each with the one that has taken its place,
# where a `%% @formerly OLD.KEY` stands before that one's mapping.
unknown_keys() {
    conf_keys "$1" | awk -v schema="$2" '
        BEGIN {
            while ((getline line <schema) > 0) {
                if (line ~ /^%% @formerly /) { split(line, words, " "); formerly[words[3]] = ""; old = words[3] }
                if (line !~ /^\{mapping, *"/) continue
                split(line, parts, "\"")
                if (old != "") { formerly[old] = parts[2]; old = "" }
                key = parts[2]
                gsub(/\./, "\\.", key)
                gsub(/\$[A-Za-z0-9_]+/, "[^.]+", key)
                known[++count] = "^" key "$"
            }
            close(schema)
        }
        {
            for (i = 1; i <= count; i++) if ($0 ~ known[i]) next
            print "    " $0 ($0 in formerly ? "    (now " formerly[$0] ")" : "")
        }'
}
