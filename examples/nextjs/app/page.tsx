import { getServerSession } from "next-auth";
import { authOptions } from "../auth";
import { SignIn } from "./sign-in";

export default async function Page() {
  const session = await getServerSession(authOptions);
  return (
    <main>
      <h1>Yellow Books</h1>
      {session ? <p>Signed in as {session.user?.email}</p> : <SignIn />}
    </main>
  );
}
