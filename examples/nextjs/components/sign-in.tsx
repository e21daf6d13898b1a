"use client";
import { useRouter } from "next/navigation";
import { useState, type SubmitEvent } from "react";
import { authClient } from "@/lib/auth-client";
import { Field, text } from "./forms";

export function SignIn() {
  const router = useRouter();
  const [problem, setProblem] = useState<string>();

  async function submit(event: SubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget, event.nativeEvent.submitter);
    const account = { email: text(form, "email"), password: text(form, "password") };
    const { error } = await (form.has("isNew")
      ? authClient.signUp.email({ ...account, name: account.email })
      : authClient.signIn.email(account));
    setProblem(error?.message);
    router.refresh();
  }

  return (
    <main>
      <h1>Tasks</h1>
      <form method="post" onSubmit={submit}>
        <Field label="E-mail address" name="email" type="email" autoComplete="email" required />
        <Field label="Password" name="password" type="password" minLength={8} required
          autoComplete="current-password" />
        <button>Sign in</button>
        <button name="isNew">Create an account</button>
        <p role="alert">{problem}</p>
      </form>
    </main>
  );
}
