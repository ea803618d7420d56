/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Addresses of IPv4 and IPv6: which are of the public internet, and ranges of
 * those that a configuration names. An IPv6 address that carries one of IPv4
 * (mapped, NAT64, 6to4) is as public as what it carries. Pure.
 */

#ifndef VOICE_ADDRESS_RANGE_H
#define VOICE_ADDRESS_RANGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct address_range {
    uint8_t address[16]; /* IPv4 as ::ffff:a.b.c.d */
    unsigned bits;       /* of it that count, 0 … 128 */
    uint16_t port;       /* 0: any */
};

/* "10.1.0.0/16", "127.0.0.1:8080", "[fd00::]/8", "[::1]:8080", "::1". 0 or
 * UV_EINVAL: malformed, or bits set behind the prefix. */
int address_range_parse(struct address_range *range, const char *text);

/* Address and port are in it. */
bool address_range_has(const struct address_range *range,
                       const struct sockaddr *address);

/* Global unicast by the registries of RFC 6890 and its followers: no private,
 * shared, loopback, link-local, unique local, multicast, documentation,
 * benchmarking, reserved or unspecified one. */
bool address_is_public(const struct sockaddr *address);

/* 0: no IP. */
uint16_t address_port(const struct sockaddr *address);

#endif
