// A real OpenID Connect provider on loopback: who signs in at its own pages is whoever they say they are.
import { Provider } from "oidc-provider";

const { port, clients } = JSON.parse(process.argv[2]);
const issuer = `http://127.0.0.1:${port}`;

const provider = new Provider(issuer, {
  clients,
  claims: { openid: ["sub"], profile: ["preferred_username"] },
  conformIdTokenClaims: false,
  findAccount: (_context, id) => ({
    accountId: id,
    claims: () => ({ sub: id, preferred_username: id }),
  }),
  pkce: { required: () => true },
  cookies: { keys: ["of this run only"] },
});

provider.listen(port, "127.0.0.1", () => console.log(`provider ready on ${issuer}`));
