import type { ReactNode } from "react";

export const metadata = { title: "Yellow Books" };

export default function Layout({ children }: { children: ReactNode }) {
  return (
    <html lang="en">
      <body style={{ fontFamily: "system-ui", margin: "4rem auto", maxWidth: "30rem" }}>{children}</body>
    </html>
  );
}
