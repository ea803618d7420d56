// SPDX-License-Identifier: BSD-2-Clause

// A language server that does what real ones rarely do. First argument: its
// manner; second: a file that it appends a line to for each message.
import { appendFileSync } from "node:fs";

const [manner, journal] = process.argv.slice(2);
const documents = new Map();
let input = Buffer.alloc(0);
let asked = 0;

function send(message) {
  const body = Buffer.from(JSON.stringify({ jsonrpc: "2.0", ...message }));
  process.stdout.write(`Content-Length: ${body.length}\r\n\r\n`);
  process.stdout.write(body);
}

const place = (uri) => ({
  uri,
  range: { start: { line: 0, character: 0 }, end: { line: 0, character: 1 } },
});

function initialize(message) {
  if (manner === "refuses")
    return send({ id: message.id, error: { code: 1, message: "no" } });
  send({
    id: message.id,
    result: {
      capabilities: {
        textDocumentSync: { openClose: true, change: 1, save: false },
        ...(manner === "pulls" && { diagnosticProvider: {} }),
      },
    },
  });
}

// What a server may ask of its client; the answers are told as diagnostics.
const questions = [
  ["workspace/configuration", { items: [{}, {}] }],
  ["workspace/workspaceFolders", null],
  ["workspace/applyEdit", { edit: {} }],
  ["client/registerCapability", { registrations: [] }],
  ["window/showDocument", { uri: "https://example.com/" }],
];
const answers = [];

function diagnostic(message) {
  questions.forEach(([method, params], i) =>
    send({ id: `q${i}`, method, params }));
  const wait = () => {
    if (answers.length < questions.length)
      return void setTimeout(wait, 5);
    send({
      id: message.id,
      result: {
        kind: "full",
        items: answers.map((text) => ({
          ...place(""), severity: 1, message: text,
        })),
      },
    });
  };
  wait();
}

const requests = {
  initialize,
  shutdown: (message) => send({ id: message.id, result: null }),
  "textDocument/diagnostic": diagnostic,
  "textDocument/hover": (message) => {
    asked++;
    if (manner === "crashes")
      process.exit(3);
    if (manner === "babbles")
      return void process.stdout.write("hello\r\n\r\n");
    if (manner === "floods")
      return void process.stdout.write("Content-Length: 999999999\r\n\r\n");
    if (manner === "errs")
      return send({ id: message.id, error: { code: -32602, message: "bad" } });
    if (manner === "silent")
      return undefined;
    send({
      id: message.id,
      result: {
        contents: [...documents].map(([uri, d]) =>
          `${uri} v${d.version} ${d.languageId} ${d.text}`),
      },
    });
  },
  "textDocument/definition": (message) =>
    send({ id: message.id, result: place(message.params.textDocument.uri) }),
  "workspace/symbol": (message) =>
    send({
      id: message.id,
      result: [{ name: message.params.query, kind: 5,
                 location: { uri: "file:///usr/include/x.h" } }],
    }),
};

const notices = {
  exit: () => process.exit(0),
  "textDocument/didOpen": ({ textDocument }) =>
    documents.set(textDocument.uri, { ...textDocument }),
  "textDocument/didChange": ({ textDocument, contentChanges }) =>
    Object.assign(documents.get(textDocument.uri), {
      version: textDocument.version, text: contentChanges[0].text,
    }),
  "textDocument/didClose": ({ textDocument }) =>
    documents.delete(textDocument.uri),
};

function take(message) {
  if (journal)
    appendFileSync(journal, `${message.method ?? "answer"}\n`);
  if (message.method === undefined)
    answers.push(JSON.stringify(message.result ?? message.error));
  else if (message.id === undefined)
    notices[message.method]?.(message.params);
  else if (requests[message.method])
    requests[message.method](message);
  else
    send({ id: message.id, error: { code: -32601, message: "unknown" } });
}

process.stdin.on("data", (chunk) => {
  input = Buffer.concat([input, chunk]);
  for (;;) {
    const end = input.indexOf("\r\n\r\n");
    if (end < 0)
      return;
    const bytes = Number(/Content-Length: (\d+)/.exec(input.toString("latin1",
      0, end))[1]);
    if (input.length < end + 4 + bytes)
      return;
    const body = input.subarray(end + 4, end + 4 + bytes);
    input = input.subarray(end + 4 + bytes);
    take(JSON.parse(body));
  }
});
