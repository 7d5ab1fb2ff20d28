// Prints what the contract rests on, as the packages beside this file state it: one JSON object.
//
//   types           every template type that the guard lists
//   members         the top-level members that the guard names
//   variables       the payload variables that the guard types
//   texts           "User.name": {"nullable": true, "longest": 128}, as the tables of the database limit them
//   keys            "Profile": ["familyName", …], the keys of the objects inside a message
//   languages       the language tags that the sign-in experience speaks
//
// A part that a package no longer states in a known form is null.

const LONGEST = 4096;

const kit = await import("kit-newest");
const schemas = await import("@logto/schemas");
const phrases = await import("@logto/phrases-experience");

const names = (shape) => (shape ? Object.keys(shape) : null);

function listTypes() {
  const { issues } = kit.sendMessageDataGuard.safeParse({ to: "", type: null, payload: {} }).error;
  const listed = issues
    .filter(({ path }) => path[0] === "type")
    .flatMap(({ options, values, expected }) => options ?? values ?? String(expected).match(/\w+/g));
  return [...new Set([...listed, ...Object.values(kit.TemplateType ?? {})])].filter(
    (name) => kit.sendMessageDataGuard.safeParse({ to: "", type: name, payload: {} }).success,
  );
}

function measureText(guard) {
  if (!guard) {
    return null;
  }
  const accepts = (length) => guard.safeParse("x".repeat(length)).success;
  let [longest, tooLong] = [0, LONGEST + 1];
  while (tooLong - longest > 1) {
    const middle = (longest + tooLong) >> 1;
    [longest, tooLong] = accepts(middle) ? [middle, tooLong] : [longest, middle];
  }
  return { nullable: guard.safeParse(null).success, longest: longest === LONGEST ? null : longest };
}

const tables = {
  Application: [schemas.Applications, "id", "name"],
  ApplicationSignInExperience: [schemas.ApplicationSignInExperiences, "displayName"],
  Organization: [schemas.Organizations, "id", "name"],
  OrganizationInvitation: [schemas.OrganizationInvitations, "invitee"],
  Passcode: [schemas.Passcodes, "code", "email"],
  User: [schemas.Users, "id", "avatar", "name", "primaryEmail", "primaryPhone", "username"],
};
const texts = Object.entries(tables).flatMap(([table, [entity, ...columns]]) =>
  columns.map((column) => [`${table}.${column}`, measureText(entity?.guard?.shape?.[column])]),
);

console.log(
  JSON.stringify({
    types: listTypes(),
    members: names(kit.sendMessageDataGuard.shape),
    variables: names(kit.sendMessagePayloadGuard?.shape),
    texts: Object.fromEntries(texts),
    keys: {
      Profile: names(schemas.userProfileGuard?.shape),
      Address: names(schemas.userProfileGuard?.shape?.address?.unwrap?.().shape),
      Branding: names(schemas.brandingGuard?.shape),
    },
    languages: phrases.builtInLanguages ?? null,
  }),
);
