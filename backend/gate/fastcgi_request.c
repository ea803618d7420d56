/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   fd ─► BEGIN, PARAMS ─► begin ─► STDIN ─► body          (libfcgi reads)
 *   fd ◄─ END ◄─ STDOUT ◄─ header block, body ◄─ answer    (libfcgi writes)
 */

#include "gate/fastcgi_request.h"

#include "base/buffer.h"
#include "gate/fastcgi_gate.h"
#include "gate/params_peek.h"

#include <fastcgi.h>
#include <fcgiapp.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include <uv.h>

#define ID_BYTES 65

/* The rest of a body that nobody wants is read up to here, so that a kept
 * connection stays in step; beyond, the connection is given up. */
#define DRAIN_MAX_BYTES (64u * 1024u * 1024u)

struct fastcgi_request {
    FCGX_Request fcgi;
    bool stream;
    bool drained;
    bool body_read;
    int body_error;
    struct buffer body;
    struct gate_header headers[GATE_HEADERS_MAX];
    size_t header_count;
    char id[ID_BYTES];
    _Alignas(max_align_t) char local[GATE_LOCAL_BYTES];
};

static pthread_once_t init_once = PTHREAD_ONCE_INIT;
static int init_error;

/* FCGX_Init takes SIGTERM, SIGUSR1 and SIGPIPE for itself when they are at
 * their default or ignored; afterwards they are as we had them. */
static void
init_libfcgi(void)
{
    static const int signals[] = {SIGTERM, SIGUSR1, SIGPIPE};
    struct sigaction before[3];

    for (int i = 0; i < 3; i++) {
        sigaction(signals[i], NULL, &before[i]);
    }
    /* It closes a connection after a protocol error, and would wait two
     * seconds for the peer to do so first. */
    setenv("LIBFCGI_OS_CLOSE_POLL_TIMEOUT", "0", 0);
    init_error = FCGX_Init() == 0 ? 0 : UV_EIO;
    before[2].sa_handler = SIG_IGN;
    before[2].sa_flags = 0;
    for (int i = 0; i < 3; i++) {
        sigaction(signals[i], &before[i], NULL);
    }
}

int
fastcgi_init(void)
{
    pthread_once(&init_once, init_libfcgi);
    return init_error;
}

int
fastcgi_request_create(struct fastcgi_request **rp)
{
    struct fastcgi_request *r = calloc(1, sizeof(*r));

    if (r == NULL) {
        return UV_ENOMEM;
    }
    FCGX_InitRequest(&r->fcgi, -1, 0);
    *rp = r;
    return 0;
}

void
fastcgi_request_destroy(struct fastcgi_request **rp)
{
    if (*rp != NULL) {
        fastcgi_request_abandon(*rp);
        free(*rp);
        *rp = NULL;
    }
}

static void
request_reset(struct fastcgi_request *r)
{
    r->stream = false;
    r->drained = false;
    r->body_read = false;
    r->body_error = 0;
    r->header_count = 0;
    r->id[0] = '\0';
    buffer_deinit(&r->body);
    memset(r->local, 0, sizeof(r->local));
}

/* FCGX_Free with 0 neither writes nor closes. */
void
fastcgi_request_abandon(struct fastcgi_request *r)
{
    FCGX_Free(&r->fcgi, 0);
    r->fcgi.ipcFd = -1;
    request_reset(r);
}

/*
 * Both fields must be set: without keepConnection, FCGX_Accept_r would close
 * the descriptor before it reads. With listen_sock -1 its attempt to accept
 * the next connection after an error fails at once.
 */
int
fastcgi_request_begin(struct fastcgi_request *r, int fd)
{
    const char *stream;

    if (params_peek(fd) != 0) {
        close(fd);
        return UV_EPROTO;
    }
    r->fcgi.ipcFd = fd;
    r->fcgi.keepConnection = 1;
    if (FCGX_Accept_r(&r->fcgi) < 0) {
        r->fcgi.ipcFd = -1;
        return UV_EPROTO;
    }
    stream = fastcgi_request_param(r, "VOICE_STREAM");
    r->stream = stream != NULL && strcmp(stream, "1") == 0;
    return 0;
}

bool
fastcgi_request_is_kept(const struct fastcgi_request *r)
{
    return r->fcgi.keepConnection != 0 && !r->stream;
}

const char *
fastcgi_request_param(struct fastcgi_request *r, const char *name)
{
    return FCGX_GetParam(name, r->fcgi.envp);
}

static uint64_t
splitmix64(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Unique, not secret: the kernel is asked once a thread. */
static void
id_make(char id[ID_BYTES])
{
    static _Thread_local uint64_t state;
    static _Thread_local bool seeded;
    uint64_t high, low;

    if (!seeded) {
        if (getrandom(&state, sizeof(state), 0) != sizeof(state)) {
            abort();
        }
        seeded = true;
    }
    high = splitmix64(&state);
    low = splitmix64(&state);
    snprintf(id, ID_BYTES, "%016" PRIx64 "%016" PRIx64, high, low);
}

static bool
id_is_fit(const char *id)
{
    size_t bytes = strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                              "abcdefghijklmnopqrstuvwxyz0123456789._-");

    return bytes > 0 && bytes < ID_BYTES && id[bytes] == '\0';
}

const char *
fastcgi_request_id(struct fastcgi_request *r)
{
    const char *given;

    if (r->id[0] != '\0') {
        return r->id;
    }
    given = fastcgi_request_param(r, "VOICE_REQUEST_ID");
    if (given == NULL || !id_is_fit(given)) {
        given = fastcgi_request_param(r, "REQUEST_ID");
    }
    if (given == NULL || !id_is_fit(given)) {
        id_make(r->id);
    } else {
        memcpy(r->id, given, strlen(given) + 1);
    }
    return r->id;
}

bool
fastcgi_request_is_responder(const struct fastcgi_request *r)
{
    return r->fcgi.role == FCGI_RESPONDER;
}

bool
fastcgi_request_is_stream(const struct fastcgi_request *r)
{
    return r->stream;
}

void *
fastcgi_request_local(struct fastcgi_request *r)
{
    return r->local;
}

int
fastcgi_request_add_header(struct fastcgi_request *r, const char *name,
                           const char *value)
{
    if (r->header_count == GATE_HEADERS_MAX) {
        return UV_ENOBUFS;
    }
    r->headers[r->header_count++] = (struct gate_header){name, value};
    return 0;
}

/*
 * What is left of STDIN would be taken for the next request. A stream has
 * none before it is answered, and reading would wait for it for ever.
 */
static void
request_drain(struct fastcgi_request *r)
{
    char scrap[8192];
    size_t total = 0;
    int n = 1;

    if (r->drained || r->stream) {
        return;
    }
    while (n > 0 && total < DRAIN_MAX_BYTES) {
        n = FCGX_GetStr(scrap, sizeof(scrap), r->fcgi.in);
        total += n > 0 ? (size_t) n : 0;
    }
    r->drained = true;
    if (n > 0) {
        r->fcgi.keepConnection = 0;
    }
}

/* -1: not given. SIZE_MAX: more than can be. */
static ssize_t
content_length(struct fastcgi_request *r)
{
    const char *text = fastcgi_request_param(r, "CONTENT_LENGTH");
    char *end;
    unsigned long long value;

    if (text == NULL || text[0] < '0' || text[0] > '9') {
        return -1;
    }
    value = strtoull(text, &end, 10);
    if (*end != '\0') {
        return -1;
    }
    return value > SSIZE_MAX ? SSIZE_MAX : (ssize_t) value;
}

/* Reads one byte more than allowed, to see whether there is one. */
static int
body_read(struct fastcgi_request *r, size_t max_bytes, ssize_t expected)
{
    size_t step = expected > 0 && expected < 16384 ? (size_t) expected : 16384;
    int n = 1;

    buffer_init(&r->body, max_bytes + 1);
    while (n > 0 && r->body.bytes <= max_bytes) {
        size_t left = max_bytes + 1 - r->body.bytes;
        size_t room = step < left ? step : left;
        uint8_t *at = buffer_reserve(&r->body, room);

        if (at == NULL) {
            return UV_E2BIG;
        }
        n = FCGX_GetStr((char *) at, (int) room, r->fcgi.in);
        buffer_commit(&r->body, n > 0 ? (size_t) n : 0);
    }
    if (r->body.bytes > max_bytes) {
        return UV_E2BIG;
    }
    r->drained = true;
    if (FCGX_GetError(r->fcgi.in) != 0
        || (expected >= 0 && r->body.bytes != (size_t) expected)) {
        return UV_EIO;
    }
    return 0;
}

int
fastcgi_request_body(struct fastcgi_request *r, size_t max_bytes,
                     const char **body, size_t *bytes)
{
    ssize_t expected = content_length(r);

    if (!r->body_read) {
        r->body_read = true;
        if (r->stream) {
            buffer_init(&r->body, 0);
        } else if (expected >= 0 && (size_t) expected > max_bytes) {
            r->body_error = UV_E2BIG;
        } else {
            r->body_error = body_read(r, max_bytes, expected);
        }
    }
    if (r->body_error != 0) {
        return r->body_error;
    }
    *body = buffer_text(&r->body);
    *bytes = r->body.bytes;
    return *body == NULL ? UV_ENOMEM : 0;
}

static const char *
status_text(unsigned status)
{
    static const struct {
        unsigned status;
        const char *text;
    } texts[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {422, "Unprocessable Content"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (texts[i].status == status) {
            return texts[i].text;
        }
    }
    return "Status";
}

/* Whatever a handler passes on, a value is one line. */
static void
put_header(FCGX_Stream *out, const char *name, const char *value)
{
    FCGX_PutS(name, out);
    FCGX_PutStr(": ", 2, out);
    FCGX_PutStr(value, (int) strcspn(value, "\r\n"), out);
    FCGX_PutStr("\r\n", 2, out);
}

static void
put_added_headers(struct fastcgi_request *r)
{
    for (size_t i = 0; i < r->header_count; i++) {
        put_header(r->fcgi.out, r->headers[i].name, r->headers[i].value);
    }
}

static void
put_answer(struct fastcgi_request *r, const struct gate_answer *answer)
{
    FCGX_Stream *out = r->fcgi.out;
    bool bodiless = answer->status == 204 || answer->status == 304;
    char text[64];

    snprintf(text, sizeof(text), "%u %s", answer->status,
             status_text(answer->status));
    put_header(out, "Status", text);
    if (answer->content_type != NULL) {
        put_header(out, "Content-Type", answer->content_type);
    }
    if (!bodiless) {
        snprintf(text, sizeof(text), "%zu", answer->body_bytes);
        put_header(out, "Content-Length", text);
    }
    put_header(out, "x-request-id", fastcgi_request_id(r));
    put_added_headers(r);
    for (size_t i = 0; i < answer->header_count; i++) {
        put_header(out, answer->headers[i].name, answer->headers[i].value);
    }
    FCGX_PutStr("\r\n", 2, out);
    /* libfcgi counts in int. */
    for (size_t at = 0; at < answer->body_bytes && !bodiless;) {
        size_t left = answer->body_bytes - at;
        int part = left > 1u << 30 ? 1 << 30 : (int) left;

        if (FCGX_PutStr((const char *) answer->body + at, part, out) < part) {
            break;
        }
        at += (size_t) part;
    }
}

/* FCGX_Finish_r would also close, and linger for it: this is the part of it
 * that speaks. The last stream to close carries END_REQUEST. */
bool
fastcgi_request_answer(struct fastcgi_request *r,
                       const struct gate_answer *answer)
{
    bool keep;

    request_drain(r);
    put_answer(r, answer);
    keep = FCGX_FClose(r->fcgi.err) == 0;
    keep = FCGX_FClose(r->fcgi.out) == 0 && keep;
    keep = FCGX_GetError(r->fcgi.in) == 0 && keep;
    keep = fastcgi_request_is_kept(r) && keep;
    fastcgi_request_abandon(r);
    return keep;
}

int
fastcgi_request_take(struct fastcgi_request *r, const char *head)
{
    bool fine;

    request_drain(r);
    put_added_headers(r);
    fine = FCGX_PutS(head, r->fcgi.out) >= 0 && FCGX_FFlush(r->fcgi.out) == 0
           && FCGX_GetError(r->fcgi.in) == 0
           && (r->stream || FCGX_HasSeenEOF(r->fcgi.in));
    fastcgi_request_abandon(r);
    return fine ? 0 : UV_EPIPE;
}
