# SPDX-License-Identifier: BSD-2-Clause
#
# The programs of `make bench`; the Makefile includes this. They are built
# without sanitizers and link none of our objects: they must not share a fault
# with what they measure.

bench_client_c := $(wildcard tests/bench/bench_*.c)
bench_client_h := $(wildcard tests/bench/bench_*.h)
talk_c := $(wildcard tests/bench/talk*.c) $(addprefix tests/bench/bench_,\
    ws.c loop.c histogram.c tls.c deflate.c)
talk_h := $(bench_client_h) $(wildcard tests/bench/talk*.h)
bench_cflags := -std=gnu11 -O2 -g $(WARN) -D_GNU_SOURCE

bench-programs: $B/bench/bench-client $B/bench/plain-libfcgi \
    $B/bench/opus-ceiling $B/bench/bench-talk

$B/bench/bench-client: $(bench_client_c) $(bench_client_h)
	@mkdir -p $(@D)
	@echo "ld $@" && $(CC) $(bench_cflags) -o $@ $(bench_client_c) -lz -lm -lssl -lcrypto

$B/bench/plain-libfcgi: tests/bench/plain_libfcgi.c
	@mkdir -p $(@D)
	@echo "ld $@" && $(CC) $(bench_cflags) -o $@ $< -lfcgi -lpthread

$B/bench/opus-ceiling: tests/bench/opus_ceiling.c
	@mkdir -p $(@D)
	@echo "ld $@" && $(CC) $(bench_cflags) -o $@ $< -lopus

$B/bench/bench-talk: $(talk_c) $(talk_h)
	@mkdir -p $(@D)
	@echo "ld $@" && $(CC) $(bench_cflags) -o $@ $(talk_c) -lopus -lz -lm \
	    -lssl -lcrypto
