// Better Auth itself, with the hook of the page: somebody registers, confirms the address and signs in.
import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";

const { databaseHooks } = await import(process.argv[2]);
const db = { user: [], session: [], account: [], verification: [] };
const base = "http://127.0.0.1:3000";
const auth = betterAuth({
  database: memoryAdapter(db),
  emailAndPassword: { enabled: true },
  databaseHooks,
  secret: process.env.BETTER_AUTH_SECRET,
  baseURL: base,
  logger: { disabled: true },
});

async function post(path, body) {
  const headers = {
    "content-type": "application/json",
    origin: base,
    "user-agent": process.argv[3],
    "x-forwarded-for": "192.0.2.44",
  };
  const request = new Request(`${base}/api/auth${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  const reply = await auth.handler(request);
  console.log(path, reply.status, reply.headers.get("set-cookie") ? "signed in" : "");
}

const person = { email: "bat@example.com", password: "a-long-password", name: "Бат" };
await post("/sign-up/email", person);
db.user[0].emailVerified = true;
await post("/sign-in/email", person);
await post("/sign-in/email", { ...person, password: "another-password" });
