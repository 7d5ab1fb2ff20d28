"""The sentences that several documents share."""

from __future__ import annotations

VARIABLES = {
    "code": (
        "The verification code. Logto core makes it of six decimal digits, leading zeros included, so it is "
        "a string and never a number. The connector test of the Console always sends 000000, which signs "
        "no user in."
    ),
    "link": (
        "The link of an invitation, as the caller of the Management API wrote it. Logto does not check it, "
        "so it may be missing, empty or of any scheme."
    ),
    "locale": (
        "The language tag that Logto chose for this mail, such as en or pt-BR. In invitations and connector "
        "tests it is whatever the caller wrote."
    ),
    "uiLocales": (
        "The ui_locales parameter of the sign-in request as the visitor's browser sent it. It should be a "
        "list of BCP 47 language tags separated by spaces, but Logto does not check it: escape it before it "
        "enters HTML."
    ),
    "application": "The application that the user signs in to, if Logto knows it.",
    "organization": "The organization that the sign-in or the invitation is about, if any.",
    "user": "The signed-in user who asked for the mail.",
    "inviter": "The user who invited.",
}

TO = (
    "The recipient's email address, spelt as it was typed. Anonymous visitors choose it and Logto hardly "
    "checks it: escape it before it enters HTML or a mail header."
)
TYPE = (
    "The template type: which mail to write. Later Logto releases add types. A receiver treats an unknown "
    "type as mail of a general kind and never crashes on it."
)
PAYLOAD = "The variables of the mail."
IP = (
    "The IP address that asked for the mail. IPv4 addresses usually arrive in their IPv6-mapped form. Behind "
    "a trusted proxy the text is the first X-Forwarded-For entry, unchecked; for calls of the Management API "
    "it is the address of the backend that called."
)

TYPE_MEANINGS = {
    "SignIn": "Someone signs in with an email address and a verification code.",
    "Register": "Someone creates an account with an email address.",
    "ForgotPassword": "Someone asks to reset a forgotten password.",
    "OrganizationInvitation": "Someone is invited to an organization.",
    "Generic": "The Management API, the Console's profile page or a connector test asked for a code.",
    "UserPermissionValidation": "A signed-in user proves to own the address of the account.",
    "BindNewIdentifier": "A signed-in user adds a new address to the account.",
    "MfaVerification": "Someone who signs in confirms a second factor by email.",
    "BindMfa": "A user sets up email as a second factor.",
    "Test": "A deprecated name that no Logto core sends.",
}

BRANDING_KEYS = {
    "logoUrl": "Logo for a light background.",
    "darkLogoUrl": "Logo for a dark background.",
    "favicon": "Icon for a light background.",
    "darkFavicon": "Icon for a dark background.",
}
