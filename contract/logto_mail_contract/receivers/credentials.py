"""Wrong values of ``Authorization``, made of the right one; they send nothing."""

from __future__ import annotations

import base64

from ..masking import basic_credential

_LETTERS = "a-zA-Z A-Za-z"


def make_wrong_values(authorization: str) -> dict[str, dict[str, str | None]]:
    """Return wrong values, each with how a shell makes it of ``${NAME}``, by the name of their rule.

    Without a secret in it, a value needs no shell: None. Where no shell can make it, that is empty.

    Args:
        authorization: The right value: a scheme and a credential, or a credential alone.
    """
    scheme, _, credential = authorization.partition(" ")
    if not credential:
        found = _change(authorization, "", authorization)
    elif (pair := basic_credential(authorization)) is not None:
        found = _change_basic(scheme, pair)
    else:
        found = _change(authorization, f"{scheme} ", credential)
    if credential:
        other = "Bearer" if scheme.lower() == "basic" else "Basic"
        found["other-scheme-authorization"] = {
            f"{other} {credential}": f"{other} ${{NAME#* }}",
            f"x{authorization}": "x${NAME}",
            f"{_choose_other(authorization[0])}{authorization[1:]}": (
                f'{_choose_other(authorization[0])}$(printf %s "${{NAME}}" | cut -c2-)'
            ),
        }
        found["bare-authorization"] = {credential: "${NAME#* }"}
    else:
        found["other-scheme-authorization"] = {f"Bearer {authorization}": "Bearer ${NAME}"}
        found["bare-authorization"] = {}
    wrong = f"{'0' * len(credential or authorization)}x"
    found["empty-authorization"] = {"": None}
    found["scheme-only-authorization"] = {scheme: None} if credential else {}
    found["wrong-authorization"] = {
        f"{scheme} {wrong}" if credential else wrong: None,
        f"Basic {_encode('nobody:wrong')}": None,
        "Bearer wrong": None,
        "wrong": None,
    }
    for values in found.values():
        values.pop(authorization, None)
    return found


def _change(whole: str, prefix: str, secret: str) -> dict[str, dict[str, str | None]]:
    """Return changed forms of a value whose secret is its last part, as it is written."""
    scheme, rest = ("${NAME%% *} ", "${NAME#* }") if prefix else ("", "${NAME}")
    tail = f'$(printf %s "{rest}" | cut -c2-)'
    extra = "1" if whole.endswith("0") else "0"
    first = _choose_other(secret[0])
    return {
        "cut-authorization": {whole[:-1]: "${NAME%?}"},
        "extended-authorization": {whole + extra: f"${{NAME}}{extra}"},
        "case-changed-authorization": {
            prefix + _swap_case(secret): f'{scheme}$(printf %s "{rest}" | tr {_LETTERS})'
        },
        "changed-start-authorization": {
            # cut counts bytes.
            f"{prefix}{first}{secret[1:]}": f"{scheme}{first}{tail}" if secret[0].isascii() else "",
            f"{prefix}{secret[1:]}": f"{scheme}{tail}" if secret[0].isascii() else "",
            f"{prefix}{first}{secret}": f"{scheme}{first}{rest}",
        },
        "same-length-authorization": {prefix + first * len(secret): None},
        "not-ascii-authorization": {
            f"{whole}é": "${NAME}é",
            f"{prefix}é": None,
        },
    }


def _change_basic(scheme: str, pair: str) -> dict[str, dict[str, str | None]]:
    """Return changed forms of user and password.

    Many programs decode base64 leniently, so that text around it changes nothing: its content is changed.
    """
    user, _, password = pair.partition(":")

    def encode(*texts: str | bytes, shell: str | None = "") -> dict[str, str | None]:
        return {f"{scheme} {_encode(text)}": shell for text in texts}

    first = _choose_other(password[:1])
    return {
        "cut-authorization": encode(pair[:-1]),
        "extended-authorization": encode(f"{pair}0"),
        "case-changed-authorization": encode(f"{user}:{_swap_case(password)}"),
        "changed-start-authorization": encode(
            f"{user}:{first}{password[1:]}",
            f"{user}:{password[1:] or first}",
            f"{user}:{first}{password}",
            f"{_choose_other(user[:1])}{user[1:]}:{password}",
        ),
        "same-length-authorization": encode(f"{first * len(user)}:{first * len(password)}", shell=None),
        "not-ascii-authorization": {
            **encode(f"{pair}é"),
            **encode("é:é", b"\xff:\xff", shell=None),
            f"{scheme} é": None,
        },
    }


def _choose_other(mark: str) -> str:
    return "y" if mark == "x" else "x"


def _encode(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def _swap_case(text: str) -> str:
    return "".join(mark.swapcase() if mark.isascii() else mark for mark in text)
