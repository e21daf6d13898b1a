// Makes the tables of Better Auth in a PostgreSQL, and lets people sign up. The argument is JSON:
// the URL of the database, its schema, `generateId`, and the people. The answer is the SQL of the
// migration, and the ids of the people.
import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { admin } from "better-auth/plugins";
import pg from "pg";

const { url, schema, generateId, people } = JSON.parse(process.argv[2]);
const location = new URL(url.replace("@/", "@localhost/"));
const pool = new pg.Pool({
  user: location.username,
  password: decodeURIComponent(location.password),
  host: location.searchParams.get("host") ?? location.hostname,
  port: Number(location.port) || 5432,
  database: location.pathname.slice(1),
  options: `-c search_path=${schema}`,
});
const auth = betterAuth({
  baseURL: "http://127.0.0.1",
  secret: "an-issuer-secret-that-only-these-tests-know-0123456789",
  database: pool,
  emailAndPassword: { enabled: true },
  advanced: { database: { generateId } },
  plugins: [admin()],
  telemetry: { enabled: false },
  logger: { disabled: true },
});

const migration = await getMigrations(auth.options);
const sql = await migration.compileMigrations();
await migration.runMigrations();
const context = await auth.$context;
const ids = [];
for (const { ban, ...person } of people) {
  const { user } = await auth.api.signUpEmail({ body: { password: "correct horse", ...person } });
  if (ban) await context.internalAdapter.updateUser(user.id, { banned: true, banReason: "spam" });
  ids.push(user.id);
}
console.log(JSON.stringify({ sql, ids }));
await pool.end();
