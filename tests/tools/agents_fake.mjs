// SPDX-License-Identifier: BSD-2-Clause

// Servers that agents live behind, as their descriptions have them: an
// amplifierd at / (sessions, one thing at a time each, problems of RFC 7807)
// and OpenAI's chat completions at /v1. Arguments: a file that a line is
// written to for each thing that happens, the key that is demanded ("" none),
// and how often a session is refused because bundles still load. Prints its
// port. What an order says is what is done:
//
//     say TEXT · wait MS · big BYTES · none · fail STATUS · nonsense
import { appendFileSync } from "node:fs";
import { createServer } from "node:http";
import { randomUUID } from "node:crypto";

const [journal, key, loads] = process.argv.slice(2);
const sessions = new Map();
let loading = Number(loads ?? 0);

const tell = (line) => journal && appendFileSync(journal, `${line}\n`);

const problem = (status, title) => ({
  status,
  body: { detail: { type: "https://amplifier.dev/errors/x", title, status,
                    detail: `${title}: sk-secret` } },
});

// Settles as the order says; rejects when it is cancelled.
function obey(order, signal) {
  const [, verb, rest] = /(say|wait|big|none|fail|nonsense) ?(.*)$/s.exec(order)
    ?? [null, "say", order];

  switch (verb) {
  case "wait":
    return new Promise((done, failed) => {
      const timer = setTimeout(() => done("waited"), Number(rest));
      signal?.addEventListener("abort", () => {
        clearTimeout(timer);
        failed(new Error("aborted"));
      });
    });
  case "big":
    return "\u0001".repeat(Number(rest) / 2) + "x".repeat(Number(rest) / 2);
  case "none":
    return null;
  case "fail":
    throw Object.assign(new Error("failed"), { status: Number(rest) });
  case "nonsense":
    return undefined;
  default:
    return rest;
  }
}

// --- amplifierd

function create(body) {
  if (loading-- > 0)
    return { status: 503, headers: { "Retry-After": "1" },
             body: { detail: "Bundles are still loading. Retry shortly." } };
  if (body.bundle_name === "unknown")
    return problem(400, "Invalid Request");
  const id = randomUUID();
  sessions.set(id, { turns: 0, executing: null });
  tell(`create ${body.bundle_name ?? ""} ${body.working_dir ?? ""}`);
  return { status: 201, body: { session_id: id, status: "idle" } };
}

async function execute(session, id, body) {
  if (session.executing)
    return problem(409, "Execution In Progress");
  session.executing = new AbortController();
  tell(`execute ${body.prompt}`);
  try {
    const response = await obey(body.prompt, session.executing.signal);
    session.turns++;
    return response === undefined
      ? { status: 200, text: "<html>" }
      : { status: 200, body: { response } };
  } catch (error) {
    // What it was doing takes a while to end.
    if (session.executing.signal.aborted)
      await new Promise((done) => setTimeout(done, 700));
    return problem(error.status ?? 499, "Request Aborted");
  } finally {
    session.executing = null;
  }
}

function cancel(session, body) {
  tell(`cancel ${body.immediate}`);
  session.executing?.abort();
  return { status: 200, body: { state: "immediate" } };
}

async function amplifierd(method, path, body) {
  const [, id, verb] = /^\/sessions(?:\/([^/]+))?(?:\/([a-z]+))?$/.exec(path)
    ?? [];
  const session = sessions.get(id);

  if (method === "POST" && path === "/sessions")
    return create(body);
  if (session === undefined)
    return problem(404, "Session Not Found");
  if (method === "DELETE" && verb === undefined) {
    sessions.delete(id);
    tell("delete");
    return { status: 204 };
  }
  if (method === "POST" && verb === "execute")
    return execute(session, id, body);
  if (method === "POST" && verb === "cancel")
    return cancel(session, body);
  return problem(404, "Not Found");
}

// --- chat completions

async function complete(body, signal) {
  const last = body.messages.at(-1);

  tell(`chat ${body.model} ${body.messages.map((m) =>
    `${m.role}:${m.content.slice(0, 30)}`).join("|")}`);
  try {
    const content = await obey(last.content, signal);
    if (content === undefined)
      return { status: 200, body: { choices: [] } };
    return { status: 200, body: { object: "chat.completion", choices: [
      { index: 0, finish_reason: "stop",
        message: { role: "assistant", content, refusal: "refused" } }] } };
  } catch (error) {
    return { status: error.status ?? 500, headers: { "Retry-After": "1" },
             body: { error: { message: "Incorrect API key: sk-secret" } } };
  }
}

// --- both

async function answer(request, text, signal) {
  const { method, url, headers } = request;

  if (key && headers.authorization !== `Bearer ${key}`)
    return { status: 401, body: { detail: `Invalid API key ${key}` } };
  if (headers.traceparent)
    tell(`trace ${headers.traceparent}`);
  const body = text ? JSON.parse(text) : {};
  if (method === "POST" && url === "/v1/chat/completions")
    return complete(body, signal);
  // What a daemon that was started anew knows.
  if (url === "/forget") {
    sessions.clear();
    return { status: 204 };
  }
  return amplifierd(method, url, body);
}

const server = createServer(async (request, response) => {
  const left = new AbortController();
  let text = "";

  response.on("close", () => {
    if (!response.writableEnded) {
      tell("closed");
      left.abort();
    }
  });
  for await (const chunk of request)
    text += chunk;
  const said = await answer(request, text, left.signal);
  response.writeHead(said.status, { "Content-Type": "application/json",
                                    ...said.headers });
  response.end(said.text ?? (said.body && JSON.stringify(said.body)));
});

server.listen(0, "127.0.0.1", () => console.log(server.address().port));
