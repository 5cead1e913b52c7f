// A real OpenID provider on loopback, with its own plain page to sign in. Its one argument is JSON:
// {port, clients, accounts: {name: claims}}. It says `ready` and lives until it is ended. New keys at each start.

import { generateKeyPairSync, randomUUID } from "node:crypto";
import { Provider } from "oidc-provider";

const { port, clients, accounts } = JSON.parse(process.argv[2]);
const issuer = `http://127.0.0.1:${port}`;

const key = (type, options, alg) => ({
  ...generateKeyPairSync(type, options).privateKey.export({ format: "jwk" }),
  kid: randomUUID(),
  use: "sig",
  alg,
});

const provider = new Provider(issuer, {
  clients,
  jwks: { keys: [key("rsa", { modulusLength: 2048 }, "RS256"), key("ec", { namedCurve: "P-256" }, "ES256")] },
  cookies: { keys: [randomUUID()] },
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
  pkce: { required: () => true, methods: ["S256"] },
  features: { devInteractions: { enabled: false } },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (_, id) => accounts[id] && { accountId: id, claims: () => ({ sub: id, ...accounts[id] }) },
  async loadExistingGrant({ oidc }) {
    const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
    grant.addOIDCScope([...oidc.requestParamScopes].join(" "));
    await grant.save();
    return grant;
  },
});

const FORM = `<!doctype html><html lang="en"><title>Provider</title><link rel="icon" href="data:,">
<form method="post"><input name="name" aria-label="name"><button name="go" value="yes">Sign in</button>
<button name="go" value="no">Cancel</button></form></html>`;

async function read(request) {
  let body = "";
  for await (const chunk of request) body += chunk;
  return new URLSearchParams(body);
}

provider.use(async (ctx, next) => {
  if (!ctx.path.startsWith("/interaction/")) return next();
  if (ctx.method === "GET") {
    ctx.type = "html";
    ctx.body = FORM;
    return;
  }
  const form = await read(ctx.req);
  const result =
    form.get("go") === "no" || !accounts[form.get("name")]
      ? { error: "access_denied", error_description: "not this time" }
      : { login: { accountId: form.get("name") } };
  await provider.interactionFinished(ctx.req, ctx.res, result, { mergeWithLastSubmission: false });
  ctx.respond = false;
});

provider.listen(port, "127.0.0.1", () => console.log("ready"));
