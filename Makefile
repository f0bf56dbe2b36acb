# Every command of this repository; `make help` lists them. The work is done by the scripts in dev/.
#
# The default target builds in place, so that this folder can be a dependency of emq-relx (`make -C deps/emq_plugin_kafka
# IS_DEP=1`). erlang.mk replaces the Makefile of a dependency that names Erlang's other build tool anywhere, this comment
# included; so it is named in dev/build only.

export PROJECT_ROOT := $(CURDIR)
EMQ_HOME ?=
# Logins that need a library more: gssapi, oidc, or both with a comma. See docs/security.md.
export FEATURES ?=

.PHONY: all run demo test faults fuzz bench docs dist install uninstall clean distclean help
.DEFAULT_GOAL := all

all: ## Build in place: ebin/, priv/*.so (installs nothing; FEATURES=gssapi,oidc: with these logins)
	@dev/build

run: ## Kafka, a broker and the plugin, one message through them; up until Ctrl-C (EMQ_HOME=DIR: a real EMQ)
	@dev/run up "$(EMQ_HOME)"

demo: ## The same, and exits when the record has arrived
	@dev/run demo "$(EMQ_HOME)"

test: ## Everything: formats, lints, unit tests, and the live tests against Kafka
	@dev/test

faults: ## The fault suite: Kafka, disk and VM failing under load (dev/faults NAME: one of its scenarios)
	@dev/faults

FUZZ_CASES ?= 100000

fuzz: ## The properties that `make test` tries 256 times each, 100,000 times: minutes (FUZZ_CASES=N)
	PROPTEST_CASES=$(FUZZ_CASES) cargo test --release --locked -p emq_plugin_kafka_nif --test properties

bench: ## Side by side: raw librdkafka, the plugin, its peers on ERL_LIBS, MQTT with the plugin off and on (dev/bench --only GROUP)
	@EMQ_HOME="$(EMQ_HOME)" dev/bench

docs: ## Write the pages of docs/ that are made: configuration.md from the schema, events.md from schemas/
	@dev/docs

TARGET ?=

dist: ## A package for each of EMQ 2.3, EMQX 4 and EMQX 5 in _build/dist, with a portable library and all licences (TARGET=aarch64)
	@dev/dist/dist $(TARGET)

install: all ## EMQ_HOME=DIR: put the plugin into a release of EMQ 2.3, EMQX 4 or EMQX 5
	@dev/install/install "$(EMQ_HOME)"

uninstall: ## EMQ_HOME=DIR: take it out again
	@dev/install/uninstall "$(EMQ_HOME)"

clean: ## Delete what was built; downloads and compiled dependencies stay
	@dev/kafka/kafka clean
	rm -rf ebin priv/*.so priv/config* priv/*.term _build/default _build/test _build/emqttd

distclean: clean ## Delete everything that is not in the repository
	rm -rf _build target

help: ## This list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
