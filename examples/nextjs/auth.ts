import type { NextAuthOptions } from "next-auth";
import GitHub from "next-auth/providers/github";
import { notifier } from "./notifier";

const server = process.env.GITHUB_SERVER; // a GitHub of your own; not set: github.com

const byEvent = {
  // region event
  events: { signIn: notifier.event },
  // endregion event
};

const byCallback = {
  // region callback
  callbacks: { signIn: notifier.callback(({ user }) => user.email !== process.env.BLOCKED) },
  // endregion callback
};

export const authOptions: NextAuthOptions = {
  providers: [
    GitHub({
      clientId: process.env.GITHUB_ID ?? "",
      clientSecret: process.env.GITHUB_SECRET ?? "",
      ...(server && {
        authorization: { url: `${server}/login/oauth/authorize`, params: { scope: "read:user user:email" } },
        token: `${server}/login/oauth/access_token`,
        userinfo: { url: `${server}/api/v3/user` },
      }),
    }),
  ],
  ...(process.env.HOOK === "callback" ? byCallback : byEvent),
};
