/* SPDX-License-Identifier: BSD-2-Clause */

#include "base/config_table.h"

#include <string.h>

#define MINUTE_MS (60 * 1000ull)
#define MIB       (1024 * 1024ull)

#define ROW(owner, section, name, type, field, initial, min, max, words,       \
            reload, sentence)                                                  \
    {section, name,    KEY_##type, offsetof(struct owner, field),              \
     initial, min,     max,        words,                                      \
     reload,  sentence},
#define KEY(...)      ROW(server_config, __VA_ARGS__)
#define UPSTREAM(...) ROW(config_upstream, CONFIG_UPSTREAM, __VA_ARGS__)
#define TOOL_SERVER(...)                                                       \
    ROW(config_tool_server, CONFIG_TOOL_SERVER, __VA_ARGS__)

/* The one table. */
/* clang-format off */
static const struct config_key keys[] = {
KEY("", "pid_file", TEXT, pid_file, "", 0, 4096, NULL, false,
    "File that the supervisor writes its process id to; empty for none.")
KEY("", "control", TEXT, control, "/run/voiced/control.sock", 0, 107, NULL,
    true, "Unix socket, mode 0600, that voicectl speaks to; empty for none.")
KEY("", "loops", NUMBER, loops, "0", 0, 256, NULL, true,
    "Threads that carry sessions; 0 means one a processor.")
KEY("", "loop_rest", NUMBER, loop_rest_us, "200", 0, 1000, NULL, true,
    "Microseconds that a busy loop rests, so that messages gather; 0: never.")
KEY("", "complexity_cut", NUMBER, complexity_cut, "5", 0, 5, NULL, true,
    "Most steps by which busy loops lower the complexity of Opus; 0: never.")
KEY("", "request_threads", NUMBER, request_threads, "4", 1, 512, NULL, true,
    "Threads that answer HTTP requests and decide about sessions.")
KEY("", "max_sessions", NUMBER, max_sessions, "2000", 1, 1000000, NULL, true,
    "Live sessions of this process; one more is answered 503.")
KEY("", "max_parked", NUMBER, max_parked, "1024", 1, 1000000, NULL, true,
    "Requests that wait for an event; one more is answered 503.")
KEY("", "max_message", SIZE, max_message_bytes, "24m", 64 * 1024, 256 * MIB,
    NULL, true, "Largest message of a client; a larger one closes with 1009.")
KEY("", "max_body", SIZE, max_body_bytes, "24m", 1024, 1024 * MIB, NULL, true,
    "Largest request body; a larger one is answered 413.")
KEY("", "memory", SIZE, memory_bytes, "256m", MIB, 1024 * 1024 * MIB, NULL,
    true, "Messages being put together, all sessions; beyond it closes 1013.")
KEY("", "read_timeout", DURATION, read_timeout_ms, "10s", 100, 10 * MINUTE_MS,
    NULL, true, "How long a half-sent request may hold a thread.")
KEY("", "resume_grace", DURATION, resume_grace_ms, "30s", 0, 10 * MINUTE_MS,
    NULL, true, "How long a dropped client may come back; 0s: never.")
KEY("listen", "unix", TEXT, listen.unix_path, "/run/voiced/voiced.sock", 0,
    107, NULL, true, "Unix socket that NGINX connects to; empty for none.")
KEY("listen", "mode", MODE, listen.mode, "0660", 0, 0777, NULL, true,
    "Mode of the unix socket: who may connect may speak for any client.")
KEY("listen", "tcp", ADDRESS, listen.tcp, "", 0, 300, NULL, true,
    "Address host:port to listen on as well; demands secret_file.")
KEY("listen", "secret_file", TEXT, listen.secret_file, "", 0, 4096, NULL, true,
    "File whose first line NGINX must send as parameter VOICE_SECRET.")
KEY("listen", "backlog", NUMBER, listen.backlog, "4096", 16, 65535, NULL, true,
    "Connections the kernel holds until they are accepted.")
KEY("log", "level", CHOICE, log.level, "info", 0, 0,
    "debug|info|notice|warn|error|alert", true, "Least level that is logged.")
KEY("log", "format", CHOICE, log.format, "text", 0, 0, "text|json", true,
    "Lines of key=value, or of JSON.")
KEY("log", "target", CHOICE, log.target, "stderr", 0, 0, "stderr|syslog|file",
    true, "Where lines go.")
KEY("log", "path", TEXT, log.path, "", 0, 4096, NULL, true,
    "The log file of target file.")
KEY("auth", "mode", CHOICE, auth.mode, "keys", 0, 0, "keys|nginx|none", true,
    "keys: a gateway key in every request; nginx: NGINX decided and says "
    "VOICE_TENANT; none: everybody.")
KEY("auth", "keys_file", TEXT, auth.keys_file, "/etc/ngx-voice/keys", 0, 4096,
    NULL, true, "Hashed gateway keys, edited with voicectl keys.")
KEY("auth", "cors_origins", TEXTS, auth.cors_origins, "", 0, 64, NULL, true,
    "Origins whose pages may call the HTTP routes, or \"*\".")
UPSTREAM("url", TEXT, url, "", 0, 2048, NULL, true,
    "wss://host[:port]/path of the Realtime server (ws:// on a private "
    "network); {model} in it is the model, else model= is added.")
UPSTREAM("calls_url", TEXT, calls_url, "", 0, 2048, NULL, true,
    "https:// address of its WebRTC calls; empty: url's path and /calls.")
UPSTREAM("key_env", TEXT, key_env, "", 0, 128, NULL, true,
    "Environment variable that holds its key; this or key_file is needed.")
UPSTREAM("key_file", TEXT, key_file, "", 0, 4096, NULL, true,
    "File whose first line is its key; read again on SIGHUP.")
UPSTREAM("ca_file", TEXT, ca_file, "", 0, 4096, NULL, true,
    "PEM file of who may sign its certificate; empty: the system's.")
UPSTREAM("proxy", PROXY, proxy, "", 0, 1024, NULL, true,
    "http://[user:password@]host:port to connect through; empty for none.")
UPSTREAM("auth", CHOICE, auth, "bearer", 0, 0, "bearer|api-key", true,
    "The key's header: Authorization: Bearer, or api-key.")
UPSTREAM("dialect", CHOICE, dialect, "openai", 0, 0, "openai|azure|xai|beta",
    true, "Names of events and fields that it speaks.")
UPSTREAM("headers", HEADERS, headers, "", 0, 32, NULL, true,
    "\"Name: value\", sent with every request.")
UPSTREAM("connect_timeout", DURATION, connect_timeout_ms, "10s", 100,
    2 * MINUTE_MS, NULL, true, "From connecting until session.created.")
UPSTREAM("read_timeout", DURATION, read_timeout_ms, "60s", 1000,
    60 * MINUTE_MS, NULL, true,
    "Silence, pongs included, after which it counts as dead.")
UPSTREAM("ping_interval", DURATION, ping_interval_ms, "20s", 0, 10 * MINUTE_MS,
    NULL, true, "Between our pings; 0s: none. Less than read_timeout.")
UPSTREAM("max_connections", NUMBER, max_connections, "0", 0, 1000000, NULL,
    true, "Sessions open there at once; 0 for no limit of ours.")
UPSTREAM("max_session", DURATION, max_session_ms, "60m", 0, 24 * 60 * MINUTE_MS,
    NULL, true, "Its own cap on a session, swapped before; 0s: it has none.")
TOOL_SERVER("mcp", TEXT, mcp, "", 0, 2048, NULL, true,
    "https:// (or http://) address of an MCP server, streamable HTTP.")
TOOL_SERVER("command", TEXTS, command, "", 0, 64, NULL, true,
    "Instead: program and arguments of an MCP server that is started here and "
    "speaks over its standard input and output.")
TOOL_SERVER("http", TEXT, http, "", 0, 2048, NULL, true,
    "Instead: address of HTTP tools, GET {http}/tools and POST "
    "{http}/execute/{name}.")
TOOL_SERVER("directory", TEXT, directory, "", 0, 4096, NULL, true,
    "Directory the command runs in; empty: the server's.")
TOOL_SERVER("environment", VARIABLES, environment, "", 0, 64, NULL, true,
    "\"NAME=value\" for the command, or \"NAME\" to pass our own on; it has of "
    "ours PATH, HOME, LANG and the like in any case.")
TOOL_SERVER("key_env", TEXT, key_env, "", 0, 128, NULL, true,
    "Environment variable that holds its key, sent as Authorization: Bearer.")
TOOL_SERVER("key_file", TEXT, key_file, "", 0, 4096, NULL, true,
    "File whose first line is its key; read again on SIGHUP.")
TOOL_SERVER("ca_file", TEXT, ca_file, "", 0, 4096, NULL, true,
    "PEM file of who may sign its certificate; empty: the system's.")
TOOL_SERVER("proxy", PROXY, proxy, "", 0, 1024, NULL, true,
    "http://[user:password@]host:port to connect through; empty for none.")
TOOL_SERVER("headers", HEADERS, headers, "", 0, 32, NULL, true,
    "\"Name: value\", sent with every request.")
TOOL_SERVER("tools", TEXTS, tools, "", 0, 64, NULL, true,
    "Tools taken of it, by its own names; empty: all.")
TOOL_SERVER("trusted", SWITCH, trusted, "no", 0, 0, NULL, true,
    "What it says of its tools counts: results of read-only ones are kept.")
TOOL_SERVER("ttl", DURATION, ttl_ms, "30s", 0, 60 * MINUTE_MS, NULL, true,
    "How long such a result is kept; 0s: never.")
TOOL_SERVER("timeout", DURATION, timeout_ms, "30s", 100, 60 * MINUTE_MS, NULL,
    true, "Longest call of a tool.")
TOOL_SERVER("connect_timeout", DURATION, connect_timeout_ms, "20s", 100,
    10 * MINUTE_MS, NULL, true, "From starting or reaching it until its tools "
    "are known.")
TOOL_SERVER("max_answer", SIZE, max_answer_bytes, "4m", 1024, 64 * MIB, NULL,
    true, "Largest message of it; with a larger one the call fails.")
KEY("warm", "upstream", TEXT, warm.upstream, "", 0, 64, NULL, true,
    "Upstream that warm links are kept at; empty: the first.")
KEY("warm", "model", TEXT, warm.model, "", 0, 128, NULL, true,
    "Model that is warmed from the start; others are learned from traffic.")
KEY("warm", "links", NUMBER, warm.links, "3", 0, 1000, NULL, true,
    "Open sessions kept ready a model; 0: none is.")
KEY("warm", "secrets", NUMBER, warm.secrets, "3", 0, 1000, NULL, true,
    "Upstream secrets kept minted a model, for WebRTC; 0: none is.")
KEY("warm", "ttl", DURATION, warm.ttl_ms, "45s", 1000, 60 * MINUTE_MS, NULL,
    true, "A warm link or secret older than this is not used.")
KEY("warm", "refill", DURATION, warm.refill_ms, "10s", 100, 10 * MINUTE_MS,
    NULL, true, "How often the warm links are looked after.")
KEY("warm", "max", NUMBER, warm.max, "32", 0, 10000, NULL, true,
    "Warm links of all models together.")
KEY("http", "keepalive", NUMBER, http.keepalive, "20", 0, 10000, NULL, true,
    "Idle connections kept for requests to upstreams and tools.")
KEY("http", "max", NUMBER, http.max, "100", 1, 10000, NULL, true,
    "Connections of such requests at once.")
KEY("http", "idle", DURATION, http.idle_ms, "30s", 1000, 60 * MINUTE_MS, NULL,
    true, "An idle connection older than this is not used again.")
KEY("http", "connect", DURATION, http.connect_ms, "5s", 10, 10 * MINUTE_MS,
    NULL, true, "Time to connect, TLS included.")
KEY("http", "read", DURATION, http.read_ms, "30s", 10, 60 * MINUTE_MS, NULL,
    true, "Time without a byte of the answer.")
KEY("http", "write", DURATION, http.write_ms, "10s", 10, 60 * MINUTE_MS, NULL,
    true, "Time without a byte of the request leaving.")
KEY("http", "pool_wait", DURATION, http.pool_wait_ms, "5s", 10,
    10 * MINUTE_MS, NULL, true, "Time that a request waits for a connection.")
KEY("tools", "root", TEXT, tools.root, "", 0, 4096, NULL, true,
    "Directory that file tools see and change, and nothing outside of it; "
    "empty: there are no file tools.")
KEY("tools", "threads", NUMBER, tools.threads, "16", 1, 256, NULL, true,
    "Threads that file tools run on, started when needed.")
KEY("tools", "max_running", NUMBER, tools.max_running, "64", 1, 4096, NULL,
    true, "Runs of tools at once; more wait. At most 8 a session or caller, "
          "half of them for one tenant over HTTP.")
KEY("tools", "max_waiting", NUMBER, tools.max_waiting, "1024", 0, 65536, NULL,
    true, "Calls of tools that wait beyond; one more is refused. At most 32 "
          "a session or caller, half of all for one tenant over HTTP.")
KEY("tools", "cache_entries", NUMBER, tools.cache_entries, "100", 0, 1000000,
    NULL, true, "Results kept to be given again; 0: none is.")
KEY("tools", "cache_size", SIZE, tools.cache_bytes, "64m", 64 * 1024,
    64 * 1024 * MIB, NULL, true, "Memory for them.")
KEY("tools", "file_ttl", DURATION, tools.file_ttl_ms, "30s", 0,
    60 * MINUTE_MS, NULL, true,
    "How long results of read_file, glob and grep are kept; 0s: never.")
KEY("tools", "web", SWITCH, tools.web, "yes", 0, 0, NULL, true,
    "web_fetch, which reads pages of the public internet and nothing else.")
KEY("tools", "web_allow", TEXTS, tools.web_allow, "", 0, 64, NULL, true,
    "Addresses that it may read although they are not public: "
    "\"10.1.0.0/16\", \"127.0.0.1:8080\", \"[fd00::]/8\".")
KEY("tools", "web_ttl", DURATION, tools.web_ttl_ms, "5m", 0, 60 * MINUTE_MS,
    NULL, true, "How long its results are kept; 0s: never.")
KEY("tools", "web_timeout", DURATION, tools.web_timeout_ms, "30s", 100,
    10 * MINUTE_MS, NULL, true, "Time for a page, redirects included.")
KEY("tools", "bash", SWITCH, tools.bash, "no", 0, 0, NULL, true,
    "Shell commands in the root, each in a sandbox (bubblewrap) without "
    "network; a start without one that works fails.")
KEY("tools", "bash_memory", SIZE, tools.bash_memory_bytes, "512m", 64 * MIB,
    1024 * 1024 * MIB, NULL, true, "Memory of a command's processes.")
KEY("tools", "bash_processes", NUMBER, tools.bash_processes, "64", 8, 4096,
    NULL, true, "Processes and threads of a command.")
KEY("tools", "bash_timeout", DURATION, tools.bash_timeout_ms, "2m", 1000,
    60 * MINUTE_MS, NULL, true, "Longest time that a command may ask for.")
KEY("tools", "lsp_command", TEXTS, agents.lsp_command, "", 0, 8, NULL, true,
    "\"EXT[,EXT...]: COMMAND\", as \"c,h,cpp: clangd\": language servers of "
    "the tool LSP, by their files' extensions; empty: there is no LSP.")
KEY("tools", "lsp_sandbox", SWITCH, agents.lsp_sandbox, "yes", 0, 0, NULL, true,
    "Language servers see /usr and the root, read-only, and no network; no: "
    "what this server sees.")
KEY("tools", "lsp_timeout", DURATION, agents.lsp_timeout_ms, "30s", 100,
    10 * MINUTE_MS, NULL, true, "Longest question to a language server.")
KEY("tools", "delegate_url", TEXT, agents.url, "", 0, 2048, NULL, true,
    "Server of agents for task, delegate and dispatch: http(s)://host[:port], "
    "of chat completions with /v1; empty: there are none.")
KEY("tools", "delegate_kind", CHOICE, agents.kind, "amplifierd", 0, 0,
    "amplifierd|chat", true,
    "What it speaks: amplifierd's sessions, or OpenAI's chat completions.")
KEY("tools", "delegate_key_env", TEXT, agents.key_env, "", 0, 128, NULL, true,
    "Environment variable that holds its key, sent as a bearer token.")
KEY("tools", "delegate_key_file", TEXT, agents.key_file, "", 0, 4096, NULL,
    true, "File whose first line is its key.")
KEY("tools", "delegate_ca_file", TEXT, agents.ca_file, "", 0, 4096, NULL,
    true, "PEM file of who may sign its certificate; empty: the system's.")
KEY("tools", "delegate_model", TEXT, agents.model, "", 0, 128, NULL, true,
    "Model that kind chat asks for.")
KEY("tools", "delegate_bundle", TEXT, agents.bundle, "", 0, 256, NULL, true,
    "Bundle of amplifierd's sessions; empty: its default.")
KEY("tools", "delegate_working_dir", TEXT, agents.working_dir, "", 0, 4096,
    NULL, true, "Directory that they work in, there; empty: its default.")
KEY("tools", "delegate_lanes", NUMBER, agents.lanes, "16", 1, 64, NULL, true,
    "Conversations with agents kept; each does one thing at a time.")
KEY("tools", "delegate_idle", DURATION, agents.idle_ms, "10m", 1000,
    24 * 60 * MINUTE_MS, NULL, true, "An idle one is forgotten after this.")
KEY("tools", "delegate_timeout", DURATION, agents.timeout_ms, "5m", 1000,
    60 * MINUTE_MS, NULL, true, "Longest order of task and delegate.")
KEY("tools", "dispatch_timeout", DURATION, agents.dispatch_ms, "30m", 1000,
    24 * 60 * MINUTE_MS, NULL, true, "Longest order of dispatch.")
KEY("store", "sqlite", TEXT, store.sqlite, "", 0, 4096, NULL, true,
    "SQLite file, such as /var/lib/ngx-voice/voice.db, of minted secrets, "
    "calls and usage; empty: they live in memory and end with the process.")
KEY("limits", "sessions", NUMBER, limits.sessions, "0", 0, 1000000, NULL, true,
    "Live sessions of a tenant; one more is answered 429. 0: no limit.")
KEY("limits", "session", DURATION, limits.session_ms, "0s", 0,
    24 * 60 * MINUTE_MS, NULL, true, "Longest session; 0s: no limit.")
KEY("limits", "idle", DURATION, limits.idle_ms, "0s", 0, 24 * 60 * MINUTE_MS,
    NULL, true, "Session without a message of the client or a turn; 0s: no "
    "limit.")
KEY("limits", "requests", NUMBER, limits.requests, "0", 0, 1000000, NULL, true,
    "Requests and session starts of a tenant a minute; 0: no limit.")
KEY("limits", "tokens", NUMBER, limits.tokens, "0", 0, 1000000000000ull, NULL,
    true, "Tokens of a tenant a day, UTC; 0: no limit.")
KEY("offline", "plugin", TEXT, offline.plugin, "", 0, 4096, NULL, true,
    "Ears and mouth of the offline model; empty: voiced-speech.so beside the "
    "program, then where it is installed.")
KEY("offline", "threads", NUMBER, offline.threads, "2", 1, 64, NULL, true,
    "Threads that recognise and speak.")
KEY("offline", "max_jobs", NUMBER, offline.max_jobs, "256", 1, 100000, NULL,
    true, "Utterances that wait for a speech thread; one more fails.")
KEY("offline", "max_session", DURATION, offline.max_session_ms, "60m", 1000,
    24 * 60 * MINUTE_MS, NULL, true,
    "Longest session of the offline model; it ends with session_expired.")
KEY("bench", "echo", SWITCH, bench.echo, "no", 0, 0, NULL, true,
    "Benchmark: a session sends back every message and meets no model.")
};
/* clang-format on */

_Static_assert(sizeof(keys) / sizeof(keys[0]) < CONFIG_KEY_MAX, "keys");

size_t
config_key_count(void)
{
    return sizeof(keys) / sizeof(keys[0]);
}

const struct config_key *
config_key_at(size_t i)
{
    return &keys[i];
}

size_t
config_key_find(const char *section, const char *name)
{
    for (size_t i = 0; i < config_key_count(); i++) {
        if (strcmp(keys[i].section, section) == 0
            && strcmp(keys[i].name, name) == 0)
            return i;
    }
    return config_key_count();
}
