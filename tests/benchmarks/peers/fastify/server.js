// Fastify with pg and jose, as in their documentation: JSON schemas of bodies and answers, a hook
// for the token, and PostgreSQL as in https://fastify.dev/docs/latest/Guides/Database/. Node's
// cluster runs one process per worker, each with pg's default pool of ten connections.

import cluster from "node:cluster";

import postgres from "@fastify/postgres";
import Fastify from "fastify";
import { createRemoteJWKSet, errors, jwtVerify } from "jose";
import pg from "pg";

const { BETTER_AUTH_URL, BETTER_AUTH_SECRET, DATABASE_URL, PORT, WEB_CONCURRENCY } = process.env;

const FIELDS = {
  title: { type: "string", minLength: 1, maxLength: 200 },
  description: { type: ["string", "null"], maxLength: 1000 },
  complete: { type: "boolean" },
  priority: { enum: ["low", "medium", "high"] },
};
const DEFAULTS = { description: null, complete: false, priority: "medium" };
const INPUT = { type: "object", properties: FIELDS, additionalProperties: false };
const TASK_IN = { ...INPUT, required: ["title"] };
const TASK_PATCH = { ...INPUT, minProperties: 1 };
const TIME = { type: "string", format: "date-time" };
const TASK = {
  type: "object",
  properties: {
    id: { type: "integer" },
    user_id: { type: "string" },
    title: { type: "string" },
    description: { type: ["string", "null"] },
    complete: { type: "boolean" },
    priority: { type: "string" },
    completed_at: { ...TIME, nullable: true },
    created_at: TIME,
    updated_at: TIME,
  },
};
const TASK_LIST = {
  type: "object",
  properties: { tasks: { type: "array", items: TASK }, count: { type: "integer" } },
};
const PARAMS = { type: "object", properties: { task: { type: "integer" } } };

const COLUMNS = Object.keys(TASK.properties).join(", ");
const OWN = "id = $1 AND user_id = $2 AND deleted_at IS NULL";

// Named, so that each connection prepares it once.
const LIST = {
  name: "list",
  text: `SELECT ${COLUMNS} FROM tasks_task WHERE user_id = $1 AND deleted_at IS NULL
         ORDER BY created_at DESC, id DESC LIMIT 1000`,
};
const READ = { name: "read", text: `SELECT ${COLUMNS} FROM tasks_task WHERE ${OWN}` };
const CREATE = {
  name: "create",
  text: `INSERT INTO tasks_task (user_id, title, description, complete, priority, completed_at)
         VALUES ($1, $2, $3, $4, $5, CASE WHEN $4 THEN now() END) RETURNING ${COLUMNS}`,
};
const DELETE = { name: "delete", text: `UPDATE tasks_task SET deleted_at = now() WHERE ${OWN}` };

function update(body) {
  const names = Object.keys(body);
  const changes = names.map((name, place) => `${name} = $${place + 3}`);
  if ("complete" in body) {
    const complete = `$${names.indexOf("complete") + 3}`;
    changes.push(`completed_at = CASE WHEN ${complete} THEN coalesce(completed_at, now()) END`);
  }
  return {
    name: `update ${names}`,
    text: `UPDATE tasks_task SET ${changes.join(", ")}, updated_at = now() WHERE ${OWN}
           RETURNING ${COLUMNS}`,
  };
}

async function tasks(app) {
  const keySet = createRemoteJWKSet(new URL(`${BETTER_AUTH_URL}/api/auth/jwks`));
  const secret = new TextEncoder().encode(BETTER_AUTH_SECRET);
  const keyOf = (header, token) => (header.alg === "HS256" ? secret : keySet(header, token));
  const rules = {
    issuer: BETTER_AUTH_URL,
    audience: BETTER_AUTH_URL,
    algorithms: ["EdDSA", "HS256"],
    requiredClaims: ["exp", "sub"],
  };

  app.addHook("onRequest", async (request) => {
    const [scheme, token] = (request.headers.authorization ?? "").split(" ");
    if (scheme !== "Bearer" || !token) throw failure(401, "Send a good token.");
    const user = await subject(token);
    if (user !== request.params.user) throw failure(403, "This token belongs to another user.");
  });

  async function subject(token) {
    try {
      return (await jwtVerify(token, keyOf, rules)).payload.sub;
    } catch (error) {
      throw error instanceof errors.JOSEError ? failure(401, "Send a good token.") : error;
    }
  }

  async function one(query, values) {
    const { rows } = await app.pg.query({ ...query, values });
    if (!rows.length) throw failure(404, "There is no such task.");
    return rows[0];
  }

  app.get("/", { schema: { response: { 200: TASK_LIST } } }, async ({ params }) => {
    const { rows } = await app.pg.query({ ...LIST, values: [params.user] });
    return { tasks: rows, count: rows.length };
  });

  app.post("/", { schema: { body: TASK_IN, response: { 201: TASK } } }, async (request, reply) => {
    const { title, description, complete, priority } = { ...DEFAULTS, ...request.body };
    reply.code(201);
    return one(CREATE, [request.params.user, title, description, complete, priority]);
  });

  const answer = { params: PARAMS, response: { 200: TASK } };

  app.get("/:task", { schema: answer }, async ({ params }) =>
    one(READ, [params.task, params.user]),
  );

  app.put("/:task", { schema: { ...answer, body: TASK_IN } }, async ({ params, body }) => {
    const task = { ...DEFAULTS, ...body };
    return one(update(task), [params.task, params.user, ...Object.values(task)]);
  });

  app.patch("/:task", { schema: { ...answer, body: TASK_PATCH } }, async ({ params, body }) =>
    one(update(body), [params.task, params.user, ...Object.values(body)]),
  );

  app.delete("/:task", { schema: { params: PARAMS } }, async ({ params }, reply) => {
    const { rowCount } = await app.pg.query({ ...DELETE, values: [params.task, params.user] });
    if (!rowCount) throw failure(404, "There is no such task.");
    reply.code(204);
  });
}

function failure(statusCode, message) {
  return Object.assign(new Error(message), { statusCode });
}

if (cluster.isPrimary) {
  for (let worker = 0; worker < Number(WEB_CONCURRENCY); worker += 1) cluster.fork();
} else {
  // Otherwise a bigint would arrive as a text.
  pg.types.setTypeParser(pg.types.builtins.INT8, Number);
  const app = Fastify();
  app.register(postgres, { pg, connectionString: DATABASE_URL });
  app.register(tasks, { prefix: "/api/:user/tasks" });
  await app.listen({ host: "127.0.0.1", port: Number(PORT) });
}
