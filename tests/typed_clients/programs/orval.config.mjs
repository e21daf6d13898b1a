export default {
  tasks: {
    input: "openapi.json",
    output: { target: "generated/tasks.ts", client: "fetch", baseUrl: { runtime: "process.env.BASE" } },
  },
};
