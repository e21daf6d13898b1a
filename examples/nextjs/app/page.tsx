import { headers } from "next/headers";
import { SignIn } from "@/components/sign-in";
import { Tasks } from "@/components/tasks";
import { auth } from "@/lib/auth";

export default async function Page() {
  const session = await auth.api.getSession({ headers: await headers() });
  return session ? <Tasks key={session.user.id} user={session.user} /> : <SignIn />;
}
