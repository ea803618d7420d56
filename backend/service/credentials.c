/* SPDX-License-Identifier: BSD-2-Clause */

#include "service/credentials.h"

#include "base/clock.h"
#include "base/log.h"
#include "gate/crypto.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#define ID_CHARS     8
#define KEY_CHARS    43
#define SALT_BYTES   16
#define FILE_MAX     (64 * 1024 * 1024)
#define LOOK_EACH_MS 1000

struct entry {
    char name[CREDENTIALS_NAME_BYTES];
    char tenant[CREDENTIALS_TENANT_BYTES]; /* "" default; "-" in the file */
    char id[ID_CHARS + 1];
    uint8_t salt[SALT_BYTES];
    uint8_t hash[CRYPTO_SHA256_BYTES];
    char created[24];
    uint32_t next; /* in its bucket, index + 1 */
};

/* The file in memory: entries in its order, found by their id. */
struct table {
    struct entry *entries;
    uint32_t count, room;
    uint32_t *buckets; /* index + 1 */
    uint32_t bucket_count;
};

struct credentials {
    char *path;
    pthread_mutex_t mutex;
    uint64_t look_ms; /* when the file is looked at next */
    struct stat seen; /* of the file the table came from; zero: none */
    struct stat bad;  /* of a malformed one that was logged */
    struct table table;
};

/* --- the table */

static uint32_t
id_hash(const char *id)
{
    uint32_t h = 2166136261u;
    for (; *id; id++)
        h = (h ^ (uint8_t) *id) * 16777619u;
    return h;
}

static void
table_clear(struct table *t)
{
    free(t->entries);
    free(t->buckets);
    *t = (struct table){0};
}

static int
table_push(struct table *t, const struct entry *e)
{
    if (t->count == t->room) {
        uint32_t room = t->room ? 2 * t->room : 16;
        struct entry *grown = realloc(t->entries, room * sizeof(*grown));
        if (!grown)
            return UV_ENOMEM;
        t->entries = grown;
        t->room = room;
    }
    t->entries[t->count++] = *e;
    return 0;
}

static int
name_compare(const void *a, const void *b)
{
    return strcmp((*(struct entry *const *) a)->name,
                  (*(struct entry *const *) b)->name);
}

/* A name given twice would make a revocation half a one. */
static int
table_check_names(const struct table *t)
{
    const struct entry **sorted = calloc(t->count + 1, sizeof(*sorted));
    int result = sorted ? 0 : UV_ENOMEM;

    for (uint32_t i = 0; sorted && i < t->count; i++)
        sorted[i] = &t->entries[i];
    if (sorted)
        qsort(sorted, t->count, sizeof(*sorted), name_compare);
    for (uint32_t i = 1; sorted && i < t->count; i++) {
        if (name_compare(&sorted[i - 1], &sorted[i]) != 0)
            continue;
        LOG(ERROR, "credentials", "name=%s error=\"given twice\"",
            sorted[i]->name);
        result = UV_EINVAL;
    }
    free(sorted);
    return result;
}

static int
table_index(struct table *t)
{
    uint32_t size = 16;
    while (size < t->count)
        size *= 2;
    t->buckets = calloc(size, sizeof(*t->buckets));
    if (!t->buckets)
        return UV_ENOMEM;
    t->bucket_count = size;
    for (uint32_t i = 0; i < t->count; i++) {
        uint32_t *bucket = &t->buckets[id_hash(t->entries[i].id) & (size - 1)];
        t->entries[i].next = *bucket;
        *bucket = i + 1;
    }
    return 0;
}

static const struct entry *
table_by_name(const struct table *t, const char *name)
{
    for (uint32_t i = 0; i < t->count; i++) {
        if (strcmp(t->entries[i].name, name) == 0)
            return &t->entries[i];
    }
    return NULL;
}

/* --- a line */

static bool
word_is_valid(const char *text, size_t max)
{
    size_t n = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                            "abcdefghijklmnopqrstuvwxyz0123456789._-");
    return n > 0 && n < max && !text[n];
}

static bool
id_is_valid(const char *text)
{
    return strlen(text) == ID_CHARS && !strpbrk(text, "._-")
           && word_is_valid(text, ID_CHARS + 1);
}

/* Cuts the next word off the line; NULL at its end. */
static char *
word_next(char **line)
{
    char *word = *line + strspn(*line, " \t");
    if (!*word)
        return NULL;
    char *end = word + strcspn(word, " \t");
    *line = *end ? end + 1 : end;
    *end = '\0';
    return word;
}

static void
copy_text(char *to, size_t room, const char *from)
{
    size_t n = strnlen(from, room - 1);
    memcpy(to, from, n);
    to[n] = '\0';
}

static bool
entry_parse(char *line, struct entry *e)
{
    char *word[6];
    memset(e, 0, sizeof(*e));
    for (int i = 0; i < 6; i++) {
        word[i] = word_next(&line);
        if (!word[i])
            return false;
    }
    if (word_next(&line) || !word_is_valid(word[0], sizeof(e->name))
        || !word_is_valid(word[1], sizeof(e->tenant)) || !id_is_valid(word[2])
        || !crypto_unhex(word[3], e->salt, sizeof(e->salt))
        || !crypto_unhex(word[4], e->hash, sizeof(e->hash))
        || strlen(word[5]) >= sizeof(e->created))
        return false;
    copy_text(e->name, sizeof(e->name), word[0]);
    if (strcmp(word[1], "-") != 0)
        copy_text(e->tenant, sizeof(e->tenant), word[1]);
    copy_text(e->id, sizeof(e->id), word[2]);
    copy_text(e->created, sizeof(e->created), word[5]);
    return true;
}

static int
entry_write(const struct entry *e, FILE *out)
{
    char salt[2 * SALT_BYTES + 1], hash[2 * CRYPTO_SHA256_BYTES + 1];
    crypto_hex(e->salt, sizeof(e->salt), salt);
    crypto_hex(e->hash, sizeof(e->hash), hash);
    int n =
        fprintf(out, "%s %s %s %s %s %s\n", e->name,
                e->tenant[0] ? e->tenant : "-", e->id, salt, hash, e->created);
    return n < 0 ? UV_EIO : 0;
}

/* --- the file */

static int
table_parse(struct table *t, FILE *file, const char *path)
{
    char *line = NULL;
    size_t room = 0;
    int result = 0;
    unsigned number = 0;

    while (!result && getline(&line, &room, file) >= 0) {
        struct entry e;
        number++;
        line[strcspn(line, "\r\n")] = '\0';
        const char *first = line + strspn(line, " \t");
        if (*first == '\0' || *first == '#')
            continue;
        if (!entry_parse(line, &e)) {
            LOG(ERROR, "credentials", "%s:%u: not a key line", path, number);
            result = UV_EINVAL;
        } else {
            result = table_push(t, &e);
        }
    }
    if (!result && ferror(file))
        result = UV_EIO;
    free(line);
    if (!result)
        result = table_check_names(t);
    return result ? result : table_index(t);
}

/* A file that is not there is an empty table, and *st is zero. */
static int
table_read(struct table *t, const char *path, struct stat *st)
{
    memset(st, 0, sizeof(*st));
    FILE *file = fopen(path, "re");
    if (!file)
        return errno == ENOENT ? table_index(t) : uv_translate_sys_error(errno);
    int result = 0;
    if (fstat(fileno(file), st) != 0)
        result = uv_translate_sys_error(errno);
    else if (!S_ISREG(st->st_mode))
        result = UV_EINVAL;
    else if (st->st_size > FILE_MAX)
        result = UV_E2BIG;
    else
        result = table_parse(t, file, path);
    fclose(file);
    if (result)
        table_clear(t);
    return result;
}

static bool
stat_equal(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev
           && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec
           && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Holds the mutex. */
static void
table_refresh(struct credentials *c)
{
    uint64_t now = clock_now_ms();
    struct stat st;
    struct table fresh = {0};

    if (now < c->look_ms)
        return;
    c->look_ms = now + LOOK_EACH_MS;
    if (stat(c->path, &st) != 0)
        memset(&st, 0, sizeof(st));
    if (stat_equal(&st, &c->seen) || (st.st_ino && stat_equal(&st, &c->bad)))
        return;
    int result = table_read(&fresh, c->path, &st);
    if (result) {
        c->bad = st;
        LOG(ERROR, "credentials", "path=%s kept=%u error=\"%s\"", c->path,
            c->table.count, uv_strerror(result));
        return;
    }
    table_clear(&c->table);
    c->table = fresh;
    c->seen = st;
    LOG(INFO, "credentials", "path=%s keys=%u", c->path, c->table.count);
}

/* --- the service */

int
credentials_create(struct credentials **cp, const char *path)
{
    struct credentials *c = calloc(1, sizeof(*c));
    if (!c)
        return UV_ENOMEM;
    c->path = strdup(path);
    int result = c->path ? table_read(&c->table, path, &c->seen) : UV_ENOMEM;
    if (result) {
        free(c->path);
        free(c);
        return result;
    }
    pthread_mutex_init(&c->mutex, NULL);
    c->look_ms = clock_now_ms() + LOOK_EACH_MS;
    *cp = c;
    return 0;
}

void
credentials_destroy(struct credentials **cp)
{
    struct credentials *c = *cp;
    *cp = NULL;
    if (!c)
        return;
    pthread_mutex_destroy(&c->mutex);
    table_clear(&c->table);
    free(c->path);
    free(c);
}

static void
key_hash(const uint8_t salt[SALT_BYTES], const char *secret,
         uint8_t out[CRYPTO_SHA256_BYTES])
{
    uint8_t text[SALT_BYTES + KEY_CHARS];
    memcpy(text, salt, SALT_BYTES);
    memcpy(text + SALT_BYTES, secret, KEY_CHARS);
    crypto_sha256(text, sizeof(text), out);
    explicit_bzero(text, sizeof(text));
}

static const struct entry *
table_check(const struct table *t, const char *secret)
{
    char id[ID_CHARS + 1];
    uint8_t hash[CRYPTO_SHA256_BYTES];

    copy_text(id, sizeof(id), secret);
    uint32_t at = t->buckets[id_hash(id) & (t->bucket_count - 1)];
    for (; at; at = t->entries[at - 1].next) {
        const struct entry *e = &t->entries[at - 1];
        if (strcmp(e->id, id) != 0)
            continue;
        key_hash(e->salt, secret, hash);
        if (crypto_equal(hash, e->hash, sizeof(hash)))
            return e;
    }
    return NULL;
}

int
credentials_check(struct credentials *c, const char *key,
                  char tenant[CREDENTIALS_TENANT_BYTES])
{
    int result = UV_EACCES;

    if (!key || strncmp(key, "vk_", 3) != 0
        || strnlen(key, CREDENTIALS_KEY_BYTES) != CREDENTIALS_KEY_BYTES - 1)
        return UV_EACCES;
    pthread_mutex_lock(&c->mutex);
    table_refresh(c);
    const struct entry *e = table_check(&c->table, key + 3);
    if (e) {
        memcpy(tenant, e->tenant, CREDENTIALS_TENANT_BYTES);
        result = 0;
    }
    pthread_mutex_unlock(&c->mutex);
    return result;
}

size_t
credentials_count(struct credentials *c)
{
    pthread_mutex_lock(&c->mutex);
    table_refresh(c);
    size_t count = c->table.count;
    pthread_mutex_unlock(&c->mutex);
    return count;
}

/* --- edits */

struct edit {
    char *lock_path;
    char *new_path;
    int lock_fd;
    struct table table;
};

static void
edit_end(struct edit *e)
{
    if (e->lock_fd >= 0)
        close(e->lock_fd); /* gives the lock up */
    table_clear(&e->table);
    free(e->lock_path);
    free(e->new_path);
}

/* The lock file stays: removing it would let two editors hold "the" lock. */
static int
edit_begin(struct edit *e, const char *path)
{
    struct stat st;
    *e = (struct edit){.lock_fd = -1};
    if (asprintf(&e->lock_path, "%s.lock", path) < 0)
        e->lock_path = NULL;
    if (asprintf(&e->new_path, "%s.new", path) < 0)
        e->new_path = NULL;
    if (!e->lock_path || !e->new_path)
        return UV_ENOMEM;
    e->lock_fd = open(e->lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (e->lock_fd < 0 || flock(e->lock_fd, LOCK_EX) != 0)
        return uv_translate_sys_error(errno);
    return table_read(&e->table, path, &st);
}

static int
edit_write(struct edit *e, FILE *out)
{
    int result = 0;
    for (uint32_t i = 0; i < e->table.count && !result; i++) {
        if (e->table.entries[i].name[0])
            result = entry_write(&e->table.entries[i], out);
    }
    if (!result && (fflush(out) != 0 || fsync(fileno(out)) != 0))
        result = uv_translate_sys_error(errno);
    return result;
}

/* Who owns the file keeps owning it: voiced may run as another user than the
 * one that edits. */
static void
edit_keep_owner(int fd, const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return;
    if (fchown(fd, st.st_uid, st.st_gid) != 0)
        LOG(WARN, "credentials", "path=%s owner not kept", path);
}

static int
edit_commit(struct edit *e, const char *path)
{
    unlink(e->new_path); /* of an editor that was killed */
    int fd = open(e->new_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return uv_translate_sys_error(errno);
    edit_keep_owner(fd, path);
    FILE *out = fdopen(fd, "w");
    if (!out) {
        close(fd);
        return UV_ENOMEM;
    }
    int result = edit_write(e, out);
    if (fclose(out) != 0 && !result)
        result = uv_translate_sys_error(errno);
    if (!result && rename(e->new_path, path) != 0)
        result = uv_translate_sys_error(errno);
    if (result)
        unlink(e->new_path);
    return result;
}

static void
entry_make(struct entry *e, const char *name, const char *tenant,
           char key[CREDENTIALS_KEY_BYTES])
{
    struct tm tm;
    time_t now = time(NULL);

    memset(e, 0, sizeof(*e));
    copy_text(e->name, sizeof(e->name), name);
    copy_text(e->tenant, sizeof(e->tenant), tenant);
    memcpy(key, "vk_", 3);
    crypto_alphanumerics(key + 3, KEY_CHARS);
    copy_text(e->id, sizeof(e->id), key + 3);
    crypto_random(e->salt, sizeof(e->salt));
    key_hash(e->salt, key + 3, e->hash);
    gmtime_r(&now, &tm);
    strftime(e->created, sizeof(e->created), "%Y-%m-%dT%H:%M:%SZ", &tm);
}

int
credentials_add(const char *path, const char *name, const char *tenant,
                char key[CREDENTIALS_KEY_BYTES])
{
    struct edit edit;
    struct entry entry;

    if (!word_is_valid(name, CREDENTIALS_NAME_BYTES)
        || (tenant[0]
            && (!word_is_valid(tenant, CREDENTIALS_TENANT_BYTES)
                || strcmp(tenant, "-") == 0)))
        return UV_EINVAL;
    int result = edit_begin(&edit, path);
    if (!result && table_by_name(&edit.table, name))
        result = UV_EEXIST;
    if (!result) {
        entry_make(&entry, name, tenant, key);
        result = table_push(&edit.table, &entry);
    }
    if (!result)
        result = edit_commit(&edit, path);
    if (result)
        explicit_bzero(key, CREDENTIALS_KEY_BYTES);
    edit_end(&edit);
    return result;
}

int
credentials_revoke(const char *path, const char *name)
{
    struct edit edit;
    int result = edit_begin(&edit, path);
    if (!result) {
        const struct entry *e = table_by_name(&edit.table, name);
        if (e && name[0])
            edit.table.entries[e - edit.table.entries].name[0] = '\0';
        else
            result = UV_ENOENT;
    }
    if (!result)
        result = edit_commit(&edit, path);
    edit_end(&edit);
    return result;
}

int
credentials_print(const char *path, FILE *out)
{
    struct table table = {0};
    struct stat st;
    int result = table_read(&table, path, &st);
    for (uint32_t i = 0; i < table.count && !result; i++) {
        const struct entry *e = &table.entries[i];
        fprintf(out, "%s %s vk_%s… %s\n", e->name,
                e->tenant[0] ? e->tenant : "-", e->id, e->created);
    }
    table_clear(&table);
    return result;
}
