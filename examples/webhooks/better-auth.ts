// Tells Yellow Books Jobs of every new session: betterAuth({ databaseHooks, ... }).
import { createHmac } from "node:crypto";

const url = `${process.env.YELLOWBOOKS_URL}/api/webhooks/better-auth`;
const key = Buffer.from((process.env.YELLOWBOOKS_SECRET ?? "").replace("whsec_", ""), "base64");

async function tell(session: any, ctx: any): Promise<void> {
  const user = await ctx?.context.internalAdapter.findUserById(session.userId);
  if (!user) return;
  const { token: _kept, ...shown } = session; // the token opens the session, so it stays here
  const data = { session: shown, user, provider: ctx.params?.id ?? "email" };
  const body = JSON.stringify({ type: "session.created", timestamp: new Date(), data });
  const stamp = String(Math.floor(Date.now() / 1000));
  const signature = createHmac("sha256", key).update(`${session.id}.${stamp}.${body}`).digest("base64");
  await fetch(url, {
    method: "POST",
    body,
    headers: {
      "content-type": "application/json",
      "webhook-id": session.id,
      "webhook-timestamp": stamp,
      "webhook-signature": `v1,${signature}`,
    },
    signal: AbortSignal.timeout(2000),
  });
}

export const databaseHooks = {
  session: {
    create: {
      // Not awaited: the sign-in neither waits for the mail nor fails because of it.
      after: async (session: any, ctx: any) => {
        const telling = tell(session, ctx).catch((error) => console.error("yellow books", error.message));
        ctx?.context.runInBackground?.(telling);
      },
    },
  },
};
