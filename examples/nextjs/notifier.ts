import { headers } from "next/headers";
import { after } from "next/server";
import { signInNotifier } from "yellowbooks-nextauth";

export const notifier = signInNotifier({
  url: process.env.YB_URL, // not set: nothing is sent
  apiKey: process.env.YB_API_KEY,
  trustedProxies: Number(process.env.TRUSTED_PROXIES ?? 0), // how many proxies of yours stand before the app
  request: headers,
  after,
});
