/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Compressed messages of the load client (permessage-deflate, RFC 7692, each
 * message on its own). A message is JSON text of a fixed length that begins
 * with a stamp. All of it but the stamp is compressed once, so that sending
 * costs a copy: the stamp goes in front in a stored block. What returns is
 * inflated and compared as a whole. Owns its buffers; one thread.
 */

#ifndef BENCH_DEFLATE_H
#define BENCH_DEFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_DEFLATE_STAMP 16  /* bytes of a stamp; twice that in the text */
#define BENCH_DEFLATE_LEAST 128 /* shortest text */

/* The offer, a whole header line; an answer must have all of its value. */
extern const char bench_deflate_offer[];

/* Prepares messages of that many bytes of text. 0 or -errno. */
int bench_deflate_init(size_t bytes);
void bench_deflate_end(void);

/* Most bytes that a message may take on the wire, either way. */
size_t bench_deflate_room(void);

/* Writes the payload of a message; returns its length. */
size_t bench_deflate_pack(uint8_t *out,
                          const uint8_t stamp[BENCH_DEFLATE_STAMP]);

/* Whether a payload, compressed or not, is a message of ours; its stamp. */
bool bench_deflate_read(const uint8_t *data, size_t bytes, bool packed,
                        uint8_t stamp[BENCH_DEFLATE_STAMP]);

/* Whether the answer to a handshake agreed to the offer. */
bool bench_deflate_is_agreed(const char *head);

#endif
