/* SPDX-License-Identifier: BSD-2-Clause */

#include "base/address_range.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <string.h>
#include <uv.h>

#define TEXT_BYTES 80
#define BITS       128
#define BITS_IPV4  96 /* before an IPv4 address in an IPv6 one */

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/* 192.0.0.0/24 and 2001::/23 have exceptions; nobody serves pages there. */
static const char *const closed[] = {
    "0.0.0.0/8",        "10.0.0.0/8",     "100.64.0.0/10",
    "127.0.0.0/8",      "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24",     "192.0.2.0/24",   "192.88.99.0/24",
    "192.168.0.0/16",   "198.18.0.0/15",  "198.51.100.0/24",
    "203.0.113.0/24",   "224.0.0.0/4",    "240.0.0.0/4",
    "168.63.129.16/32", /* a cloud's own servers, to its machines alone */
    "2001::/23",        "2001:db8::/32",  "3fff::/20",
};

/* --- reading */

/* Decimal, no sign, no zeros before it; -1: none, or beyond `most`. */
static long
number_read(const char *text, long most)
{
    long value = 0;

    if (!*text || (text[0] == '0' && text[1]))
        return -1;
    for (; *text; text++) {
        if (!isdigit((unsigned char) *text))
            return -1;
        value = value * 10 + (*text - '0');
        if (value > most)
            return -1;
    }
    return value;
}

/* Cuts the text at `at`, what is behind it is a number. */
static long
number_cut(char *at, long most)
{
    *at = '\0';
    return number_read(at + 1, most);
}

/* "[…]" or bare; *first is the number of bits before the address. */
static int
host_read(struct address_range *range, char *text, unsigned *first)
{
    size_t bytes = strlen(text);
    bool bracketed = bytes > 2 && text[0] == '[' && text[bytes - 1] == ']';

    *first = BITS_IPV4;
    memcpy(range->address, mapped, sizeof(mapped));
    if (!bracketed
        && inet_pton(AF_INET, text, range->address + sizeof(mapped)) == 1)
        return 0;
    *first = 0;
    if (bracketed) {
        text[bytes - 1] = '\0';
        text++;
    }
    return inet_pton(AF_INET6, text, range->address) == 1 ? 0 : UV_EINVAL;
}

static bool
bit_is_set(const uint8_t *address, unsigned bit)
{
    return address[bit / 8] & (0x80 >> bit % 8);
}

/* The ":port" behind an address, which is in brackets if it has colons. */
static char *
port_find(char *text)
{
    char *bracket = strchr(text, ']');
    char *colon = strrchr(text, ':');

    if (text[0] == '[')
        return bracket && colon && colon > bracket ? colon : NULL;
    return colon && strchr(text, ':') == colon ? colon : NULL;
}

int
address_range_parse(struct address_range *range, const char *text)
{
    struct address_range made = {.port = 0};
    char copy[TEXT_BYTES];
    char *port, *slash;
    long number, bits = -1;
    unsigned first;

    if (strlen(text) >= sizeof(copy))
        return UV_EINVAL;
    memcpy(copy, text, strlen(text) + 1);
    port = port_find(copy);
    if (port) {
        number = number_cut(port, 65535);
        if (number < 1)
            return UV_EINVAL;
        made.port = (uint16_t) number;
    }
    slash = strchr(copy, '/');
    if (slash && (bits = number_cut(slash, BITS)) < 0)
        return UV_EINVAL;
    if (host_read(&made, copy, &first) != 0)
        return UV_EINVAL;
    if (bits > (long) (BITS - first))
        return UV_EINVAL;
    made.bits = slash ? first + (unsigned) bits : BITS;
    for (unsigned bit = made.bits; bit < BITS; bit++)
        if (bit_is_set(made.address, bit))
            return UV_EINVAL;
    *range = made;
    return 0;
}

/* --- judging */

static bool
address_read(const struct sockaddr *address, uint8_t bytes[16])
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *) address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *) address;

    if (address->sa_family == AF_INET) {
        memcpy(bytes, mapped, sizeof(mapped));
        memcpy(bytes + sizeof(mapped), &v4->sin_addr, 4);
        return true;
    }
    if (address->sa_family != AF_INET6)
        return false;
    memcpy(bytes, &v6->sin6_addr, 16);
    return true;
}

static bool
prefix_has(const struct address_range *range, const uint8_t bytes[16])
{
    unsigned whole = range->bits / 8, rest = range->bits % 8;
    uint8_t mask = (uint8_t) (0xff00 >> rest);

    return memcmp(range->address, bytes, whole) == 0
           && (rest == 0
               || ((range->address[whole] ^ bytes[whole]) & mask) == 0);
}

uint16_t
address_port(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return ntohs(((const struct sockaddr_in *) address)->sin_port);
    if (address->sa_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *) address)->sin6_port);
    return 0;
}

bool
address_range_has(const struct address_range *range,
                  const struct sockaddr *address)
{
    uint8_t bytes[16];

    return address_read(address, bytes) && prefix_has(range, bytes)
           && (range->port == 0 || range->port == address_port(address));
}

/* What is inside: an IPv4 address that a gateway would go on to. */
static void
carried_take(uint8_t bytes[16])
{
    static const uint8_t nat64[12] = {0, 0x64, 0xff, 0x9b};
    uint8_t inner[4];

    if (memcmp(bytes, nat64, sizeof(nat64)) == 0)
        memcpy(inner, bytes + 12, 4);
    else if (bytes[0] == 0x20 && bytes[1] == 0x02) /* 6to4, RFC 3056 */
        memcpy(inner, bytes + 2, 4);
    else
        return;
    memcpy(bytes, mapped, sizeof(mapped));
    memcpy(bytes + sizeof(mapped), inner, 4);
}

bool
address_is_public(const struct sockaddr *address)
{
    struct address_range range;
    uint8_t bytes[16];

    if (!address_read(address, bytes))
        return false;
    carried_take(bytes);
    /* Of IPv6 only 2000::/3 is given out as global unicast. */
    if (memcmp(bytes, mapped, sizeof(mapped)) != 0 && bytes[0] >> 5 != 1)
        return false;
    for (size_t i = 0; i < sizeof(closed) / sizeof(*closed); i++) {
        if (address_range_parse(&range, closed[i]) != 0
            || prefix_has(&range, bytes))
            return false;
    }
    return true;
}
