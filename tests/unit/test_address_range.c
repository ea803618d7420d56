/* SPDX-License-Identifier: BSD-2-Clause */

#include "base/address_range.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>
#include <uv.h>

#include <cmocka.h>

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static union address
address_of(const char *text, int port)
{
    union address a;

    memset(&a, 0, sizeof(a));
    if (uv_ip4_addr(text, port, &a.v4) != 0)
        assert_int_equal(uv_ip6_addr(text, port, &a.v6), 0);
    return a;
}

static void
what_is_public(void **state)
{
    static const char *const open[] = {
        "1.1.1.1",         "8.8.8.8",          "93.184.216.34",
        "11.0.0.0",        "9.255.255.255",    "100.63.255.255",
        "100.128.0.0",     "126.255.255.255",  "128.0.0.0",
        "169.253.255.255", "169.255.0.0",      "172.15.255.255",
        "172.32.0.0",      "192.0.1.0",        "192.0.3.0",
        "192.167.255.255", "192.169.0.0",      "198.17.255.255",
        "198.20.0.0",      "223.255.255.255",  "2606:4700::1111",
        "2a00:1450::1",    "2001:200::1",      "2003::1",
        "::ffff:8.8.8.8",  "64:ff9b::8.8.8.8", "2002:808:808::1",
    };
    static const char *const closed[] = {
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "10.255.255.255",
        "100.64.0.0",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.0.171",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "192.168.255.255",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.255",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "168.63.129.16",
        "::",
        "::1",
        "::2",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:0:127.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::8.8.8.8",
        "100::1",
        "2001::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:2::1",
        "2001:10::1",
        "2001:20::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "2002:c0a8:101::1",
        "3fff::1",
        "4000::1",
        "5f00::1",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
    };

    (void) state;
    for (size_t i = 0; i < sizeof(open) / sizeof(*open); i++) {
        union address a = address_of(open[i], 80);
        if (!address_is_public(&a.any))
            fail_msg("%s is public", open[i]);
    }
    for (size_t i = 0; i < sizeof(closed) / sizeof(*closed); i++) {
        union address a = address_of(closed[i], 80);
        if (address_is_public(&a.any))
            fail_msg("%s is not public", closed[i]);
    }
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    assert_false(address_is_public((struct sockaddr *) &un));
    assert_int_equal(address_port((struct sockaddr *) &un), 0);
}

static void
ranges_that_are_read(void **state)
{
    static const struct {
        const char *range, *address;
        int port;
        bool has;
    } cases[] = {
        {"127.0.0.1", "127.0.0.1", 1, true},
        {"127.0.0.1", "127.0.0.2", 1, false},
        {"127.0.0.1:8080", "127.0.0.1", 8080, true},
        {"127.0.0.1:8080", "127.0.0.1", 8081, false},
        {"127.0.0.1:8080", "::ffff:127.0.0.1", 8080, true},
        {"10.1.0.0/16", "10.1.255.255", 1, true},
        {"10.1.0.0/16", "10.2.0.0", 1, false},
        {"10.1.0.0/15:443", "10.1.0.1", 443, false}, /* bits behind */
        {"10.0.0.0/15:443", "10.1.0.1", 443, true},
        {"10.0.0.0/15:443", "10.2.0.1", 443, false},
        {"0.0.0.0/0", "255.255.255.255", 1, true},
        {"0.0.0.0/0", "::1", 1, false},
        {"::/0", "::1", 1, true},
        {"::/0", "1.2.3.4", 1, true},
        {"::1", "::1", 1, true},
        {"[::1]", "::1", 1, true},
        {"[::1]:80", "::1", 80, true},
        {"[::1]:80", "::1", 81, false},
        {"[fd00::]/8:80", "fdff::1", 80, true},
        {"fd00::/8", "fc00::1", 80, false},
    };

    (void) state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct address_range range;
        union address a = address_of(cases[i].address, cases[i].port);
        bool has = address_range_parse(&range, cases[i].range) == 0
                   && address_range_has(&range, &a.any);
        if (has != cases[i].has)
            fail_msg("%s has %s: %d", cases[i].range, cases[i].address, has);
    }
}

static void
what_is_no_range(void **state)
{
    static const char *const bad[] = {
        "",
        ":",
        "/",
        "localhost",
        "127.0.0.1/33",
        "127.0.0.1/",
        "1.2.3/8",
        "127.0.0.1:",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.1:x",
        "127.0.0.1:-1",
        "127.0.0.1:080",
        "10.0.0.1/8",
        "::1/129",
        "[::1",
        "::1]",
        "[::1]x",
        "[127.0.0.1]",
        "[]",
        "fe80::1%eth0",
        "::1/12x",
        "10.0.0.0/08",
        " 10.0.0.1",
        "1111111111111111111111111111111111111111111111111111111111111111111111"
        "1111111111111111111"};

    (void) state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct address_range range = {.port = 7};
        if (address_range_parse(&range, bad[i]) != UV_EINVAL || range.port != 7)
            fail_msg("\"%s\" is a range", bad[i]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_public),
        cmocka_unit_test(ranges_that_are_read),
        cmocka_unit_test(what_is_no_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
