import { auth, signIn } from "../auth";

export default async function Page() {
  const session = await auth();
  return (
    <main>
      <h1>Yellow Books</h1>
      {session ? (
        <p>Signed in as {session.user?.email}</p>
      ) : (
        <form action={async () => { "use server"; await signIn("github"); }}>
          <button>Sign in with GitHub</button>
        </form>
      )}
    </main>
  );
}
