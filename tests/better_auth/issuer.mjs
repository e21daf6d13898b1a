// Better Auth servers on loopback. Each line of the input is JSON: the variant of a server to start,
// or {"stop": port}. When a server listens, the answer is a line with its base URL. The database of
// a stopped server stays in the file `state`, for its next start.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { deserialize, serialize } from "node:v8";
import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { fromNodeHeaders, toNodeHandler } from "better-auth/node";
import * as plugins from "better-auth/plugins";

// Better Auth 1.3 has neither `signJWT` nor the OAuth provider.
const { jwt, signJWT } = plugins;
const { oauthProvider } = await import("@better-auth/oauth-provider").catch(() => ({}));

// What JSON cannot express.
const payloads = {
  with_user_id: ({ user }) => ({ user_id: user.id, name: user.name }),
  without_user_id: ({ user }) => ({ name: user.name }),
  neon: ({ user }) => ({ ...user, role: "authenticated", banned: false, o: { id: "org", rol: "owner" } }),
};

const running = new Map();

async function start(variant) {
  const server = createServer();
  await new Promise((listening) => server.listen(variant.port, "127.0.0.1", listening));

  const jwtOptions = {
    ...variant.jwt,
    jwt: { ...variant.jwt?.jwt, definePayload: payloads[variant.payload] },
  };

  const db = existsSync(variant.state) ? deserialize(readFileSync(variant.state)) : {
    user: [], session: [], account: [], verification: [], jwks: [],
    oauthClient: [], oauthResource: [], oauthClientResource: [], oauthConsent: [],
    oauthAccessToken: [], oauthRefreshToken: [], oauthClientAssertion: [],
  };
  const auth = betterAuth({
    baseURL: variant.base,
    basePath: variant.basePath,
    secret: variant.secret,
    database: memoryAdapter(db),
    emailAndPassword: { enabled: true },
    advanced: { database: { generateId: variant.generateId } },
    // The provider of Better Auth 1.4 requires it, although it is the default.
    session: { cookieCache: variant.cookieCache, storeSessionInDatabase: true },
    user: { additionalFields: variant.fields },
    telemetry: { enabled: false },
    logger: { level: "error" },
    plugins: [
      jwt(jwtOptions),
      ...(variant.oauth ? [oauthProvider({
        ...variant.oauth, loginPage: "/", consentPage: "/",
        clientPrivileges: () => true, // clients may also get tokens for themselves
      })] : []),
    ],
  });

  // What the tests need besides the API of the issuer.
  const routes = {
    "/test/sign": async ({ payload, header }) => ({
      token: await signJWT({ context: await auth.$context }, { options: jwtOptions, payload, header }),
    }),
    "/test/age-keys": async ({ seconds }) => {
      for (const key of db.jwks) key.expiresAt = new Date(key.expiresAt.getTime() - 1000 * seconds);
      return {};
    },
    "/test/client": (options, request) =>
      auth.api.adminCreateOAuthClient({
        headers: fromNodeHeaders(request.headers),
        body: {
          token_endpoint_auth_method: "none",
          application_type: "native",
          redirect_uris: [`${variant.base}/client`],
          skip_consent: true,
          ...options,
        },
      }),
  };

  const betterAuthHandler = toNodeHandler(auth);
  server.on("request", async (request, response) => {
    const route = routes[request.url];
    if (!route) return betterAuthHandler(request, response);
    const body = JSON.parse((await request.toArray()).join(""));
    response.setHeader("Content-Type", "application/json");
    response.end(JSON.stringify(await route(body, request)));
  });

  running.set(variant.port, async () => {
    const closed = new Promise((done) => server.close(done));
    server.closeAllConnections();
    await closed;
    if (variant.state) writeFileSync(variant.state, serialize(db));
    return "stopped";
  });
  return (await auth.$context).baseURL;
}

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  console.log(await ("stop" in asked ? running.get(asked.stop)() : start(asked)));
}
process.exit();
