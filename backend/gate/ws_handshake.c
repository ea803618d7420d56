/* SPDX-License-Identifier: BSD-2-Clause */

#include "gate/ws_handshake.h"

#include "codec/base64.h"
#include "gate/crypto.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

#define KEY_CHARS    24
#define ACCEPT_CHARS 28
#define KEY_SUFFIX   "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* RFC 6455, 1.3 */

static bool
line_is_clean(const char *text)
{
    return !text || !strpbrk(text, "\r\n");
}

static bool
request_is_clean(const struct ws_request *rq)
{
    if (!line_is_clean(rq->authority) || !line_is_clean(rq->target)
        || !line_is_clean(rq->subprotocols) || strchr(rq->target, ' '))
        return false;
    for (size_t i = 0; rq->headers && rq->headers[i]; i++) {
        if (!line_is_clean(rq->headers[i]))
            return false;
    }
    return true;
}

int
ws_handshake_write(struct ws_handshake *h, const struct ws_request *rq,
                   struct buffer *out)
{
    uint8_t nonce[16];
    int result = 0;

    if (!request_is_clean(rq))
        return UV_EINVAL;
    memset(h, 0, sizeof(*h));
    crypto_random(nonce, sizeof(nonce));
    base64_encode(h->key, nonce, sizeof(nonce));
    result |= buffer_printf(out,
                            "GET %s HTTP/1.1\r\nHost: %s\r\n"
                            "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                            "Sec-WebSocket-Version: 13\r\n"
                            "Sec-WebSocket-Key: %s\r\n",
                            rq->target, rq->authority, h->key);
    if (rq->subprotocols)
        result |= buffer_printf(out, "Sec-WebSocket-Protocol: %s\r\n",
                                rq->subprotocols);
    for (size_t i = 0; rq->headers && rq->headers[i]; i++)
        result |= buffer_printf(out, "%s\r\n", rq->headers[i]);
    result |= buffer_printf(out, "\r\n");
    return result ? UV_ENOMEM : 0;
}

bool
ws_header_find(const char *head, size_t head_bytes, const char *name, char *out,
               size_t out_bytes)
{
    const char *at = head, *end = head + head_bytes;
    size_t name_bytes = strlen(name);

    while ((at = memchr(at, '\n', (size_t) (end - at))) != NULL) {
        at++;
        if ((size_t) (end - at) <= name_bytes || at[name_bytes] != ':'
            || strncasecmp(at, name, name_bytes) != 0)
            continue;
        at += name_bytes + 1;
        const char *stop = memchr(at, '\n', (size_t) (end - at));
        if (!stop)
            stop = end;
        while (at < stop && (*at == ' ' || *at == '\t'))
            at++;
        while (stop > at && (stop[-1] == '\r' || stop[-1] == ' '))
            stop--;
        snprintf(out, out_bytes, "%.*s", (int) (stop - at), at);
        return true;
    }
    return false;
}

/* Whether a comma-separated list holds the word, in the given case or not. */
static bool
list_has(const char *list, const char *word, bool exact)
{
    size_t n = strlen(word);
    while (list && *list) {
        list += strspn(list, " \t,");
        size_t len = strcspn(list, ",");
        size_t used = len;
        while (used && (list[used - 1] == ' ' || list[used - 1] == '\t'))
            used--;
        if (used == n
            && (exact ? memcmp(list, word, n) == 0
                      : strncasecmp(list, word, n) == 0))
            return true;
        list += len;
    }
    return false;
}

static bool
accept_is_right(const struct ws_handshake *h, const char *accept)
{
    uint8_t digest[CRYPTO_SHA1_BYTES];
    char text[KEY_CHARS + sizeof(KEY_SUFFIX)];
    char want[ACCEPT_CHARS];

    int n = snprintf(text, sizeof(text), "%s%s", h->key, KEY_SUFFIX);
    crypto_sha1(text, (size_t) n, digest);
    base64_encode(want, digest, sizeof(digest));
    return strlen(accept) == ACCEPT_CHARS
           && memcmp(accept, want, ACCEPT_CHARS) == 0;
}

static const char *
upgrade_fault(struct ws_handshake *h, const struct ws_request *rq,
              const char *head, size_t bytes)
{
    char value[256];

    if (!ws_header_find(head, bytes, "Upgrade", value, sizeof(value))
        || !list_has(value, "websocket", false))
        return "the answer has no Upgrade: websocket";
    if (!ws_header_find(head, bytes, "Connection", value, sizeof(value))
        || !list_has(value, "upgrade", false))
        return "the answer has no Connection: upgrade";
    if (!ws_header_find(head, bytes, "Sec-WebSocket-Accept", value,
                        sizeof(value))
        || !accept_is_right(h, value))
        return "Sec-WebSocket-Accept is missing or wrong";
    if (ws_header_find(head, bytes, "Sec-WebSocket-Extensions", value,
                       sizeof(value))
        && value[0])
        return "the answer takes an extension that was not offered";
    if (ws_header_find(head, bytes, "Sec-WebSocket-Protocol", h->subprotocol,
                       sizeof(h->subprotocol))
        && !list_has(rq->subprotocols, h->subprotocol, true))
        return "the answer takes a subprotocol that was not offered";
    return NULL;
}

static int
refuse(struct ws_handshake *h, const char *why)
{
    snprintf(h->error, sizeof(h->error), "%s", why);
    return UV_EPROTO;
}

int
ws_handshake_read(struct ws_handshake *h, const struct ws_request *rq,
                  const char *data, size_t bytes)
{
    char value[32], version[16] = "";
    const char *end = memmem(data, bytes, "\r\n\r\n", 4);

    if (!end)
        return bytes < WS_HANDSHAKE_MAX
                   ? 0
                   : refuse(h, "the answer's head is too long");
    size_t head = (size_t) (end - data) + 4;
    if (head > WS_HANDSHAKE_MAX)
        return refuse(h, "the answer's head is too long");
    snprintf(version, sizeof(version), "%.13s", data);
    if (head < 13 || strncmp(version, "HTTP/1.1 ", 9) != 0)
        return refuse(h, "the answer is not HTTP/1.1");
    h->status = (unsigned) strtoul(version + 9, NULL, 10);
    if (h->status != 101) {
        if (ws_header_find(data, head, "Content-Length", value, sizeof(value)))
            h->body_bytes = strtoul(value, NULL, 10);
        return refuse(h, "the upgrade was refused");
    }
    const char *fault = upgrade_fault(h, rq, data, head);
    return fault ? refuse(h, fault) : (int) head;
}
