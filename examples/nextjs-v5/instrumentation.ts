// Only for an app that no proxy stands before (trustedProxies: 0).
export async function register() {
  if (process.env.NEXT_RUNTIME === "nodejs") (await import("yellowbooks-nextauth/peers")).keepPeers();
}
