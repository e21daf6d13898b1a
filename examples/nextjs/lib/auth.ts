import { DatabaseSync } from "node:sqlite";
import { betterAuth } from "better-auth";
import { jwt } from "better-auth/plugins";

export const auth = betterAuth({
  baseURL: process.env.BETTER_AUTH_URL ?? "http://localhost:3000",
  database: new DatabaseSync("auth.db"),
  emailAndPassword: { enabled: true },
  plugins: [jwt()],
});
