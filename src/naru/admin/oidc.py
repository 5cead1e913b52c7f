"""Signing in by OpenID Connect: the code flow with PKCE, up to a verified address. Only a public key proves anything.

Sources: OpenID Connect Core 1.0 section 3.1, RFC 7636 (PKCE), RFC 9207 (the issuer in the answer).
"""

import base64
import hashlib
from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import msgspec
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError, UnsupportedAlgorithmError
from joserfc.jws import JWSRegistry
from msgspec import Meta

from naru.admin.issuers import Failed, Issuers, Provider
from router.sign_in import SignIn

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA", "Ed25519")
"""With HS256 whoever knows the client's secret, and with `none` anybody, could be anybody."""
LEEWAY_S = 60
TOKEN_CHARS = 64_000


class Tokens(msgspec.Struct, frozen=True):
    id_token: Annotated[str, Meta(max_length=TOKEN_CHARS)]
    access_token: Annotated[str, Meta(max_length=TOKEN_CHARS)] | None = None


class Claims(msgspec.Struct, frozen=True):
    """Who somebody is, as the ID token or the provider's userinfo says."""

    sub: Annotated[str, Meta(min_length=1, max_length=255)]
    email: Annotated[str, Meta(max_length=320)] | None = None
    email_verified: Any = None


class Attempt(msgspec.Struct, frozen=True):
    """One sign-in. All but the state follows from the state and our master key, so each of our processes knows it."""

    workspace: str
    sign_in: SignIn
    redirect_uri: str
    state: str
    nonce: str
    verifier: str


class Oidc:
    """`resolve(workspace, reference)` gives secrets; `token(use, *parts, size=)` is that of naru.keyring."""

    def __init__(
        self, issuers: Issuers, resolve: Callable[[str, str], str | None], token: Callable[..., str], clock: Any
    ) -> None:
        self._issuers = issuers
        self._resolve = resolve
        self._token = token
        self._clock: Callable[[], float] = clock

    def attempt(self, workspace: str, sign_in: SignIn, redirect_uri: str, state: str) -> Attempt:
        nonce, verifier = (self._token(use, state, size=52) for use in ("oidc nonce", "oidc verifier"))
        return Attempt(workspace, sign_in, redirect_uri, state, nonce, verifier)

    def browser(self, state: str) -> str:
        """What the browser that began keeps as a cookie, and no other can know."""
        return self._token("oidc browser", state, size=52)

    async def address(self, attempt: Attempt) -> str:
        """Where the browser goes to sign in. Raises Failed."""
        provider = await self._issuers.provider(attempt.sign_in.issuer)
        asked = {
            "response_type": "code",
            "client_id": attempt.sign_in.client_id,
            "redirect_uri": attempt.redirect_uri,
            "scope": " ".join(attempt.sign_in.scopes),
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": challenge(attempt.verifier),
            "code_challenge_method": "S256",
        }
        joint = "&" if "?" in provider.authorization_endpoint else "?"
        return f"{provider.authorization_endpoint}{joint}{urlencode(asked)}"

    async def email(self, attempt: Attempt, code: str, issuer: str | None) -> str:
        """The verified address of who comes back with a code, and maybe with who issued it. Raises Failed."""
        provider = await self._issuers.provider(attempt.sign_in.issuer)
        if issuer != provider.issuer and (issuer or provider.authorization_response_iss_parameter_supported):
            raise Failed("oidc-token", "the answer does not come from the issuer that was asked")
        tokens = await self._exchange(attempt, provider, code)
        claims = await self.identity(attempt, provider, tokens.id_token)
        if claims.email is None:
            claims = await self._userinfo(provider, tokens, claims)
        if claims.email is None or claims.email_verified is not True:
            raise Failed("oidc-unverified", "the provider gives no address that it calls verified")
        return claims.email

    async def identity(self, attempt: Attempt, provider: Provider, id_token: str) -> Claims:
        """What an ID token says when it is the provider's, for us, in time, and of this sign-in. Raises Failed."""
        keys = await self._issuers.keys(provider)
        try:
            try:
                token = jwt.decode(id_token, keys, registry=_Registry())
            except InvalidKeyIdError:
                token = jwt.decode(id_token, await self._issuers.keys(provider, anew=True), registry=_Registry())
            self._claims(attempt).validate(token.claims)
            audience = token.claims["aud"]
            if isinstance(audience, list) and len(audience) > 1 and "azp" not in token.claims:
                raise ValueError("it is for several, and does not say for whom of them it was issued")
            return msgspec.convert(token.claims, Claims)
        except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise Failed("oidc-token", f"the ID token is not good: {type(error).__name__}: {error}"[:300]) from error

    def _claims(self, attempt: Attempt) -> jwt.JWTClaimsRegistry:
        """OpenID Connect Core 3.1.3.7, points 2 to 11."""
        client = attempt.sign_in.client_id
        return jwt.JWTClaimsRegistry(
            now=int(self._clock()),
            leeway=LEEWAY_S,
            iss={"essential": True, "value": attempt.sign_in.issuer},
            sub={"essential": True},
            aud={"essential": True, "value": client},
            azp={"value": client},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": attempt.nonce},
        )

    async def _exchange(self, attempt: Attempt, provider: Provider, code: str) -> Tokens:
        sign_in = attempt.sign_in
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": attempt.redirect_uri,
            "code_verifier": attempt.verifier,
        }
        if sign_in.secret is None:
            return await self._tokens(provider, {}, {**form, "client_id": sign_in.client_id})
        secret = self._resolve(attempt.workspace, sign_in.secret)
        if secret is None:
            raise Failed("oidc-unready", f"the client's secret, {sign_in.secret}, is not there")
        if "client_secret_basic" in provider.token_endpoint_auth_methods_supported:
            both = f"{quote(sign_in.client_id, safe='')}:{quote(secret, safe='')}"
            header = f"Basic {base64.b64encode(both.encode()).decode()}"
            return await self._tokens(provider, {"Authorization": header}, form)
        return await self._tokens(provider, {}, {**form, "client_id": sign_in.client_id, "client_secret": secret})

    async def _tokens(self, provider: Provider, headers: dict[str, str], form: dict[str, str]) -> Tokens:
        return await self._issuers.ask("POST", provider.token_endpoint, Tokens, headers, urlencode(form))

    async def _userinfo(self, provider: Provider, tokens: Tokens, claims: Claims) -> Claims:
        """Some providers keep the address out of the ID token. It counts when it is the same subject's."""
        if provider.userinfo_endpoint is None or tokens.access_token is None:
            return claims
        headers = {"Authorization": f"Bearer {tokens.access_token}"}
        found = await self._issuers.ask("GET", provider.userinfo_endpoint, Claims, headers)
        if found.sub != claims.sub:
            raise Failed("oidc-token", "the userinfo is of somebody else")
        return found


def challenge(verifier: str) -> str:
    """PKCE's S256."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


class _Registry(JWSRegistry):
    """Our list, whatever the library recommends (it warns of EdDSA's older name). Headers we do not know say nothing."""

    max_header_length = 8_000

    def __init__(self) -> None:
        super().__init__(algorithms=ALGORITHMS, strict_check_header=False)

    def get_alg(self, name: str) -> Any:
        if name not in ALGORITHMS:
            raise UnsupportedAlgorithmError("its algorithm is not one of ours")
        return self.algorithms[name]
