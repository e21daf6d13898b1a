import { defineConfig, globalIgnores } from "eslint/config";
import typescript from "eslint-config-next/typescript";
import vitals from "eslint-config-next/core-web-vitals";

export default defineConfig([
  ...vitals,
  ...typescript,
  globalIgnores([".next/**", "next-env.d.ts", "lib/openapi.ts"]),
]);
