"""Folders with Logto's packages as npm would install them, of which a test may change some files."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

from tests.logto.node import FOLDER, list_kits

if TYPE_CHECKING:
    from pathlib import Path

KIT = "kit-newest"
CONNECTOR = "@logto/connector-http-email"
SCHEMAS = "@logto/schemas"
PHRASES = "@logto/phrases-experience"

# What `@logto/schemas` states of the tables that core reads, by zod as there. With the real one come 57 MB.
_SCHEMAS = """
import { z } from "zod";
const text = (max) => z.string().min(1).max(max);
const optional = (max) => z.string().max(max).nullable();
const table = (shape) => ({ guard: z.object(shape) });
const texts = (names) => Object.fromEntries(names.split(" ").map((name) => [name, z.string()]));
export const Applications = table({ id: text(21), name: text(256) });
export const ApplicationSignInExperiences = table({ displayName: optional(256) });
export const Organizations = table({ id: text(21), name: text(128) });
export const OrganizationInvitations = table({ invitee: text(256) });
export const Passcodes = table({ code: text(6), email: optional(128) });
export const Users = table({
  id: text(12),
  avatar: optional(2048),
  name: optional(128),
  primaryEmail: optional(128),
  primaryPhone: optional(128),
  username: optional(128),
});
export const userProfileGuard = z
  .object({
    ...texts("familyName givenName middleName nickname preferredUsername profile website gender birthdate"),
    ...texts("zoneinfo locale"),
    address: z.object(texts("formatted streetAddress locality region postalCode country")).partial(),
  })
  .partial();
export const brandingGuard = z.object(texts("logoUrl darkLogoUrl favicon darkFavicon")).partial();
"""
_PHRASES = 'export const builtInLanguages = ["de", "en", "pt-BR", "zh-HK"];\n'


def make_packages(folder: Path) -> Path:
    """Fill a folder with links to the packages of ``tests/logto``, the newest kit as ``kit-newest``.

    ``@logto/schemas`` and its languages are written by hand, since the real package is too large for a test.
    """
    installed = FOLDER / "node_modules"
    packages = folder / "node_modules"
    (packages / "@logto").mkdir(parents=True)
    for entry in installed.iterdir():
        if entry.name not in ("@logto", ".bin"):
            (packages / entry.name).symlink_to(entry)
    for entry in (installed / "@logto").iterdir():
        (packages / "@logto" / entry.name).symlink_to(entry)
    (packages / KIT).symlink_to(installed / f"kit-{list_kits(FOLDER)[-1]}")
    for name, version, source in ((SCHEMAS, "1.35.0", _SCHEMAS), (PHRASES, "1.30.0", _PHRASES)):
        (packages / name).mkdir()
        manifest = {"name": name, "version": version, "type": "module", "main": "index.js"}
        (packages / name / "package.json").write_text(json.dumps(manifest), encoding="utf-8")
        (packages / name / "index.js").write_text(source, encoding="utf-8")
    shutil.copy(FOLDER / "package-lock.json", folder)
    (folder / "package.json").write_text(
        json.dumps({"type": "module", "dependencies": {KIT: "npm:@logto/connector-kit@latest"}}),
        encoding="utf-8",
    )
    return folder


def patch_package(folder: Path, package: str, file: str, *changes: tuple[str, str]) -> None:
    """Replace texts in one file of one package; the package becomes a copy, the installed one stays as it is.

    Args:
        folder: A folder that ``make_packages`` has filled.
        package: The package's name.
        file: The file's path in the package.
        changes: Texts, and what takes their place. Each must occur.
    """
    place = folder / "node_modules" / package
    if place.is_symlink():
        original = place.resolve()
        place.unlink()
        shutil.copytree(original, place)
    path = place / file
    text = path.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text, f"{package}/{file} has no {old!r}"
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
