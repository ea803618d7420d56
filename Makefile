# SPDX-License-Identifier: BSD-2-Clause
#
# ngx-voice. `make help` lists what can be asked for. B is the build
# directory, SAN a list for -fsanitize.

B ?= build
SHELL := /bin/bash
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# No rule makes it by itself: `make help` must not install anything.
-include $(wildcard build/config.mk)

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes
SAN_FLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer \
    -fno-sanitize-recover=all)
CFLAGS_ALL = -std=gnu11 $(WARN) $(CFLAGS_OPT) $(SAN_FLAGS) -fPIC -D_GNU_SOURCE \
    -Ibackend -Ibuild $(DEP_CFLAGS) $(CFLAGS)

floors := main api session service model tools gate codec base
main_c := backend/main/main.c $(wildcard backend/main/supervisor*.c)
lib_c := $(filter-out $(main_c),$(wildcard $(floors:%=backend/%/*.c)))
lib_o := $(lib_c:backend/%.c=$B/obj/%.o)
supervisor_o := $(patsubst backend/%.c,$B/obj/%.o,\
    $(wildcard backend/main/supervisor*.c))
ctl_o := $(patsubst backend/%.c,$B/obj/%.o,$(wildcard backend/voicectl/*.c))
plugin_o := $(patsubst backend/%.c,$B/obj/%.o,\
    $(wildcard backend/speech_plugin/*.c))
unit := $(patsubst tests/unit/%.c,$B/unit/%,$(wildcard tests/unit/test_*.c))
kit_o := $(patsubst tests/unit/%.c,$B/obj/unit/%.o,\
    $(wildcard tests/unit/kit/*.c))
replays := $(patsubst tests/fuzz/fuzz_%.c,$B/unit/test_fuzz_%,\
    $(wildcard tests/fuzz/fuzz_*.c))
fuzzers := $(patsubst tests/fuzz/%.c,$B/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
module := $B/nginx/ngx_http_voice_module.so
test_programs := $(patsubst tests/programs/%.c,$B/tests/%,\
    $(wildcard tests/programs/*.c))
programs := $B/voiced $B/voiced-server $B/voicectl $B/voiced-speech.so

## all: everything that runs (default)
all: $(programs) $(module)

## run: build, start on 127.0.0.1:8080 (http) and :8443 (https), Ctrl-C stops
run: deps
	@$(MAKE) all
	@exec tests/tools/run.sh

## demo: speak a question through the whole stack, hear the answer
demo: deps
	@$(MAKE) all
	@tests/tools/demo.sh

## check: all tests, with counts that fit a coffee
check: test-deps
	@$(MAKE) lint
	@$(MAKE) unit
	@$(MAKE) integration

## check-full: the same tests with their full counts
check-full: test-deps
	@$(MAKE) lint
	@$(MAKE) unit
	@$(MAKE) all test-programs tests/node_modules/.installed
	@VOICE_FULL=1 tests/run-integration
	@tests/tools/valgrind-cycles.sh 1000

unit-programs: $(unit) $(replays)

## unit: unit tests
unit: unit-programs $B/voiced-speech.so
	@tests/run-unit $(unit) $(replays)

## integration: the stock nginx, the module, voiced, real clients
integration: all test-programs tests/node_modules/.installed
	@tests/run-integration

## lint: floors, foreign headers, sizes, banned calls, names in the docs
lint: $B/libvoice.a $B/voiced $B/voiced-server
	@tests/lint/run $(B)

## sanitize: unit and integration under ASan and UBSan, voiced under TSan
sanitize: test-deps
	@tests/tools/sanitize.sh

## fuzz: every parser of outside bytes, FUZZ_SECONDS (10) each; FUZZ=NAME… some
fuzz: $(or $(FUZZ:%=$B/fuzz/fuzz_%),$(fuzzers))
	@tests/tools/fuzz.sh $^

## bench: the figures, as ratios against peers in the same run
bench: test-deps
	@$(MAKE) all bench-programs tests/node_modules/.installed
	@tests/bench/run

## install: into PREFIX (DESTDIR is honoured)
install: all
	@B=$(B) PREFIX=$(PREFIX) tests/tools/install.sh

## clean: remove what was built
clean:
	rm -rf $(B)

## help: this list
help:
	@sed -n 's/^## //p' $(firstword $(MAKEFILE_LIST))

# --- set-up: what is missing is installed once, then never asked again

deps:
	@[ -f build/config.mk ] || ./configure --install-deps

test-deps:
	@[ -f build/.test-deps ] || { \
	    ./configure $(CONFIGURE_ARGS) --install-deps --with-tests && \
	    touch build/.test-deps; }

build/config.mk build/config.h:
	@echo "not configured: ./configure (or make run, make check)"; exit 1

tests/node_modules/.installed: tests/package-lock.json
	@cd tests && npm ci --no-fund --no-audit
	@touch $@

# --- rules

$B/obj/%.o: backend/%.c build/config.h
	@mkdir -p $(@D)
	@echo "cc $<"
	@$(CC) $(CFLAGS_ALL) $(EXTRA) -MMD -MP -c $< -o $@

$B/obj/unit/%.o: tests/unit/%.c build/config.h
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS_ALL) -Itests/unit -MMD -MP -c $< -o $@

$(plugin_o): EXTRA = $(SPEECH_CFLAGS) \
    -DSPEECH_MODEL_DIR='"$(SPEECH_MODEL_DIR)"' -fvisibility=hidden

# A deleted source must leave the archive too, hence made anew each time.
$B/libvoice.a: $(lib_o)
	@rm -f $@ && ar rcs $@ $(lib_o)

# The supervisor links no library but libc.
$B/voiced: $(supervisor_o)
	@echo "ld $@" && $(CC) $(SAN_FLAGS) -o $@ $^

# -rdynamic is not wanted: the plugin calls nothing of the server.
$B/voiced-server: $B/obj/main/main.o $B/libvoice.a
	@echo "ld $@" && $(CC) $(SAN_FLAGS) -o $@ $^ $(DEP_LIBS)

$B/voicectl: $(ctl_o) $B/libvoice.a
	@echo "ld $@" && $(CC) $(SAN_FLAGS) -o $@ $^ $(DEP_LIBS)

$B/voiced-speech.so: $(plugin_o)
	@echo "ld $@" && $(CC) -shared $(SAN_FLAGS) -o $@ $^ $(SPEECH_LIBS)

$B/unit/%: $B/obj/unit/%.o $(kit_o) $B/libvoice.a
	@mkdir -p $(@D)
	@echo "ld $@" && $(CC) $(SAN_FLAGS) -o $@ $^ -lcmocka $(DEP_LIBS)

# Programs that integration tests drive.
test-programs: $(test_programs)

$B/tests/%: tests/programs/%.c $B/libvoice.a
	@mkdir -p $(@D)
	@echo "ld $@" && $(CC) $(CFLAGS_ALL) -o $@ $< $B/libvoice.a $(DEP_LIBS)

# It loads the plugin that lies beside it.
$B/unit/test_speech: | $B/voiced-speech.so

.SECONDARY: $(unit:$B/unit/%=$B/obj/unit/%.o) $(kit_o)

# --- fuzz targets: clang's libFuzzer; and over its corpus each is a unit test
# with this build's compiler. Pure modules are compiled for each, with its
# sanitizers; fuzz_voice_* take the relay of the NGINX module between sockets
# of tests/fuzz/kit. What reads and writes streams for them is not looked at.

fuzz_kit := $(patsubst tests/fuzz/kit/%.c,$B/fuzz/kit/%.o,$(filter-out \
    tests/fuzz/kit/voice_%,$(wildcard tests/fuzz/kit/*.c)))
fuzz_c := $(wildcard backend/codec/*.c) $(addprefix backend/,base/buffer.c \
    base/clock.c base/log.c base/loop.c base/thread_time.c gate/record_stream.c \
    gate/stream_link.c gate/ws_opening.c gate/ws_handshake.c \
    gate/ws_receiver.c gate/crypto.c)
fuzz_voice_c := tests/fuzz/kit/voice_nginx.c $(addprefix \
    ngx_module/ngx_http_voice_,relay.c flush.c open.c up.c down.c session.c record.c \
    extension.c pack.c unpack.c zstate.c)
fuzz_history_c := $(wildcard backend/session/session_history*.c) \
    backend/session/session_microphone.c
fuzz_filters_c := $(addprefix backend/session/session_,filters.c \
    responses.c playback.c cancelled.c errors.c scrub.c strict.c event.c \
    filtered.c) backend/base/metrics.c backend/base/histogram.c
fuzz_voice_up_c := $(addprefix backend/,session/session_voice_up.c \
    session/session_voice_silence.c base/loop_timer.c base/metrics.c \
    base/histogram.c)
fuzz_voice_down_c := $(addprefix backend/session/session_voice_,down.c pump.c \
    queue.c timeline.c answers.c text.c id.c) $(addprefix backend/base/, \
    loop_timer.c metrics.c histogram.c)
fuzz_nginx := $(or $(NGINX_SRC),/usr/share/nginx/src)/src
fuzz_voice_flags := -Ingx_module -isystem $B/nginx/objs $(addprefix \
    -isystem $(fuzz_nginx)/,core event event/modules os/unix http \
    http/modules http/v2) -Dclock_gettime=fuzz_clock -Wno-unused-parameter
fuzz_extra = $(if $(filter voice_%,$*),$(fuzz_voice_c))
fuzz_flags = -Itests/fuzz $(if $(filter voice_%,$*),$(fuzz_voice_flags))

$(filter $B/fuzz/fuzz_voice_%,$(fuzzers)) \
$(filter $B/unit/test_fuzz_voice_%,$(replays)): $(fuzz_voice_c) | $(module)

$B/fuzz/fuzz_session_filters: $(fuzz_filters_c)
$B/fuzz/fuzz_session_voice_up: $(fuzz_voice_up_c)
$B/fuzz/fuzz_session_voice_down: $(fuzz_voice_down_c)

.SECONDARY: $(fuzz_kit)

$B/fuzz/kit/%.o: tests/fuzz/kit/%.c $(wildcard tests/fuzz/kit/*.h)
	@mkdir -p $(@D)
	@$(CC) -std=gnu11 $(WARN) -g -O2 -fPIC -Itests/fuzz -c $< -o $@

$B/unit/test_fuzz_%: tests/fuzz/fuzz_%.c tests/fuzz/replay.c $(fuzz_kit) \
    $B/libvoice.a
	@mkdir -p $(@D)
	@echo "ld $@" && $(CC) $(CFLAGS_ALL) -Wno-missing-prototypes \
	    -DCORPUS='"tests/fuzz/corpus/$*"' $(fuzz_flags) -o $@ $< \
	    tests/fuzz/replay.c $(fuzz_extra) $(fuzz_kit) $B/libvoice.a -lcmocka \
	    $(DEP_LIBS) -lz

$B/fuzz/fuzz_%: tests/fuzz/fuzz_%.c $(fuzz_c) $(fuzz_kit) build/config.h
	@mkdir -p $(@D)
	@echo "fuzz $@" && clang -std=gnu11 -g -O1 -D_GNU_SOURCE -Ibackend -Ibuild \
	    $(DEP_CFLAGS) $(fuzz_flags) -fsanitize=fuzzer,address,undefined \
	    -fno-sanitize-recover=all -o $@ $< $(fuzz_c) $(fuzz_extra) \
	    $(if $(filter session_history,$*),$(fuzz_history_c)) \
	    $(if $(filter session_filters,$*),$(fuzz_filters_c)) \
	    $(if $(filter session_voice_up,$*),$(fuzz_voice_up_c)) \
	    $(if $(filter session_voice_down,$*),$(fuzz_voice_down_c)) \
	    $(fuzz_kit) $(DEP_LIBS) -lz

module_src := $(wildcard ngx_module/*.c ngx_module/*.h ngx_module/config \
    ngx_module/build.sh backend/codec/ws_*.[ch] \
    backend/codec/body_inflate.[ch])
$(module): $(module_src) build/config.mk
	@echo "nginx module"
	@mkdir -p $(@D)
	@VOICE_CFLAGS="$(SAN_FLAGS)" bash ngx_module/build.sh $(@D) $(NGINX_SRC) \
	    >$(@D)/build.log 2>&1 || { tail -n 40 $(@D)/build.log; exit 1; }
	@touch $@

-include tests/bench/bench.mk
-include $(shell [ -d $B/obj ] && find $B/obj -name '*.d')

.PHONY: all run demo check check-full unit unit-programs integration lint sanitize fuzz \
    bench bench-programs install clean help deps test-deps test-programs
