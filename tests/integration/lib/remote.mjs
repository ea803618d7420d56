// SPDX-License-Identifier: BSD-2-Clause
//
// Two stacks: clients talk to the outer one, whose model is the inner one.
//
//     client ─► nginx ─► voiced (outer) ─── wss, verified ───► nginx ─► voiced (inner)
//                          upstream inner { … }                        offline model
//
// startRemoteStack takes what startStack takes, for the outer stack; what
// belongs to the offline model goes to the inner one, and `inner` holds more of
// its options. The outer one has a gateway key of the inner one as its
// provider key. The result is the outer stack, with `inner`.

import { Certs } from './certs.mjs';
import { protect } from './secrets.mjs';
import { startLocalStack } from './stack.mjs';

const listOf = (options) => [options ?? {}].flat();

// The inside of `upstream NAME { … }` that points at a stack.
export function upstreamOf(stack, more = {}) {
    return { url: `wss://localhost:${stack.nginx.tlsPort}/v1/realtime`, key_env: 'INNER_KEY',
        ca_file: Certs.get().caPath, ...more };
}

// Options of one outer voiced.
function outerVoiced(options, inner, upstream) {
    const { offline: _inner, ...settings } = options.settings ?? {};
    return { ...options, env: { INNER_KEY: inner.voiced.keys.outer, ...options.env },
        settings: { ...settings, upstream: { inner: upstreamOf(inner, upstream),
            ...settings.upstream } } };
}

export async function startRemoteStack(t, { inner: innerOptions = {}, upstream = {},
    voiced, ...options } = {}) {
    const [first] = listOf(voiced);
    const innerVoiced = { auth: 'keys', keys: ['outer'], ...innerOptions.voiced };
    innerVoiced.settings = { ...(first.settings?.offline && { offline: first.settings.offline }),
        ...innerOptions.voiced?.settings };
    const inner = await startLocalStack(t, { policy: '', ...innerOptions, voiced: innerVoiced });
    protect(inner.voiced.keys.outer);
    const outers = listOf(voiced).map((each) => outerVoiced(each, inner, upstream));
    const stack = await startLocalStack(t, { ...options, voiced: outers });
    stack.inner = inner;
    return stack;
}
